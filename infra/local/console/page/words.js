// The states of outcomes, lines and calls, as shapes and words, and figures as people read them.

const GOOD = "good", STOP = "stop", WAIT = "wait", CALM = "calm";

const OUTCOMES = {
  cancelled: { shape: "■", word: "cancelled", tone: GOOD },
  partially_cancelled: { shape: "◧", word: "partially cancelled", tone: GOOD },
  already_cancelled: { shape: "■", word: "already cancelled", tone: CALM },
  scheduled: { shape: "◆", word: "ends with its term", tone: GOOD },
  already_scheduled: { shape: "◆", word: "already ends with its term", tone: CALM },
  pending: { shape: "◔", word: "pending", tone: WAIT },
  dry_run: { shape: "○", word: "dry run, nothing was changed", tone: CALM },
};

export function outcomeState(answer) {
  if (answer.outcome) return OUTCOMES[answer.outcome] ?? { shape: "○", word: answer.outcome, tone: CALM };
  if (answer.retryable) return { shape: "◔", word: answer.code, tone: WAIT };
  return { shape: "✕", word: answer.code ?? "no answer of the function", tone: STOP };
}

// What a dry run says of a line, as the function answers it.
export function lineState(line) {
  if (line.cancelled) return { shape: "■", word: "cancelled", tone: CALM };
  if (line.cancellable === false) return { shape: "✕", word: `cannot be cancelled: ${line.code}`, tone: STOP };
  if (line.cancellable === null) return { shape: "?", word: "nobody can tell", tone: WAIT };
  // The deadline of the subscription can have passed while its order can still be cancelled.
  const hasDeadline = Date.parse(line.cancellableUntil) > Date.now();
  const until = hasDeadline ? ` until ${day(line.cancellableUntil)}` : "";
  const refund = line.refund ? `, ${line.refund === "none" ? "no" : line.refund} refund` : "";
  return { shape: "●", word: `can be cancelled${until}${refund}`, tone: GOOD };
}

export function subscriptionWords(line) {
  const words = [];
  if (line.subscriptionStatus) words.push(line.subscriptionStatus);
  if (line.endsAtTerm) words.push(`ends with its term on ${day(line.termEndsOn)}`);
  else if (line.autoRenew && line.termEndsOn) words.push(`renews on ${day(line.termEndsOn)}`);
  else if (line.termEndsOn) words.push(`term ends on ${day(line.termEndsOn)}`);
  return words.join(", ");
}

export function callState(call) {
  if (call.cut_status) return { shape: "✕", word: `${call.cut_status}, cut off`, tone: STOP };
  if (call.dropped && call.status !== null) return { shape: "✕", word: `${call.status}, and nobody got it`, tone: STOP };
  if (call.dropped) return { shape: "✕", word: "no answer, connection lost", tone: STOP };
  if (call.status === null) return { shape: "◔", word: "waiting", tone: WAIT };
  const word = call.took_s === null ? `${call.status}` : `${call.status} in ${milliseconds(call.took_s)}`;
  return call.status < 400 ? { shape: "●", word, tone: GOOD } : { shape: "▲", word, tone: STOP };
}

export const milliseconds = (seconds) =>
  seconds < 0.0095 ? `${(seconds * 1000).toFixed(1)} ms` : seconds < 10 ? `${Math.round(seconds * 1000)} ms` : `${Math.round(seconds)} s`;

export const inWords = (seconds) =>
  seconds >= 90 ? `${Math.round(seconds / 60)} minutes` : `${Math.max(Math.round(seconds), 1)} s`;

const day = (date) => (date ?? "").slice(0, 10);
export { day };
