// The answer of the function, readable and raw, and what the sender does with it.

import { byId, element, pretty, raw, read, state } from "./dom.js";
import { day, lineState, milliseconds, outcomeState } from "./words.js";

export function showHint(text) {
  byId("answer-content").replaceChildren(element("p", { class: "empty" }, text));
  byId("answer-raw").replaceChildren();
}

export const showWaiting = () => showHint("Waiting for the answer …");

// `error` is of the control interface. Without an answer of its nobody knows whether the request was sent.
export function showFailure(error) {
  byId("answer-content").replaceChildren(
    element("p", {}, state({ shape: "✕", word: error.isAnswer ? "not sent" : "the local cloud does not answer", tone: "stop" })),
    element("p", {}, error.isAnswer ? error.message : "Nobody knows whether it was sent. Does make serve still run? A repeat is safe."),
  );
  byId("answer-raw").replaceChildren();
}

// `lost` is the number of calls whose answer got lost on the way.
export function showAnswer(sent, { lost, tellsTicket, repeat }) {
  const parts = sent.answer ? answered(sent) : unanswered(sent);
  if (sent.answer && lost) parts.push(element("p", { class: "note" }, `On the way ${lost === 1 ? "an answer" : `${lost} answers`} of Partner Center got lost: see the calls.`));
  if (sent.reaction) parts.push(element("p", { class: "note" }, sent.reaction));
  if (sent.reaction && tellsTicket) parts.push(element("p", { class: "note" }, "The function itself tells the ticket."));
  byId("answer-content").replaceChildren(...parts);
  byId("answer-raw").replaceChildren(
    element("div", { class: "buttons" }, element("button", { type: "button", click: repeat }, "Send the same again")),
    raw("The request as it was sent", `${sent.request.method} ${sent.request.url}\n${headers(sent.request.headers)}\n\n${sent.request.body}`),
    sent.answer ? raw("The answer as it came", `${sent.answer.status}\n${headers(sent.answer.headers)}\n\n${pretty(sent.answer.body)}`) : "",
    raw("The same from a shell, with this local cloud's secrets; a signature or token in it is valid for minutes", sent.curl),
  );
}

function answered(sent) {
  const answer = read(sent.answer.body);
  const order = answer.lineItems ? answer : answer.order;
  return [
    element("p", { class: "outcome" }, state(outcomeState(answer)), " ", element("span", { class: "note" }, `${sent.answer.status} after ${milliseconds(sent.took_s)}`)),
    element("p", {}, answer.message ?? answer.detail ?? "The answer is the host's, not the function's."),
    ...(answer.errors ?? []).map(({ pointer, message }) => element("p", {}, `${pointer}: ${message}`)),
    typeof answer.retryable === "boolean"
      ? element("p", { class: "note" }, answer.retryable ? "Send the same request again later." : "The same request would be refused again.")
      : "",
    order?.lineItems?.length ? lineTable(order.lineItems, answer) : "",
  ];
}

function unanswered(sent) {
  return [
    element("p", { class: "outcome" }, state({ shape: "✕", word: "no answer", tone: "stop" })),
    element("p", {}, `${sent.fault.replace(/^no answer: /, "")}. Nobody knows from this whether something was cancelled. Send the same again: a repeat is safe.`),
  ];
}

function lineTable(lines, answer) {
  const rows = lines.map((line) =>
    element(
      "tr",
      {},
      element("td", {}, line.lineItemNumber ?? "–"),
      element("td", {}, line.friendlyName || line.offerId || ""),
      element("td", {}, line.quantity ?? "–"),
      element("td", {}, state(stateOf(line, answer))),
    ),
  );
  const headings = ["Line", "Product", "Quantity", "State"].map((text) => element("th", { scope: "col" }, text));
  return element("table", {}, element("thead", {}, element("tr", {}, headings)), element("tbody", {}, rows));
}

function stateOf(line, answer) {
  if (line.cancelled) return lineState(line);
  if (line.endsAtTerm) return { shape: "◆", word: `ends with its term${line.termEndsOn ? ` on ${day(line.termEndsOn)}` : ""}`, tone: "good" };
  if (answer.dryRun) return lineState(line);
  if (line.code) return { shape: "✕", word: line.code, tone: "stop" };
  if (answer.outcome === "pending" || answer.code === "outcome_unknown") return { shape: "◔", word: "not known yet", tone: "wait" };
  return { shape: "○", word: "not cancelled", tone: "calm" };
}

const headers = (named) => Object.entries(named).map(([name, value]) => `${name}: ${value}`).join("\n");
