// The answer of the function, readable and raw, and what the sender does with it.

import { byId, element, pretty, raw, state } from "./dom.js";
import { lineState, milliseconds, outcomeState } from "./words.js";

export function showWaiting() {
  byId("answer-content").replaceChildren(element("p", { class: "empty" }, "Waiting for the answer …"));
  byId("answer-raw").replaceChildren();
}

export function showFailure(text) {
  byId("answer-content").replaceChildren(
    element("p", {}, state({ shape: "✕", word: "not sent", tone: "stop" })),
    element("p", {}, text),
  );
  byId("answer-raw").replaceChildren();
}

export function showAnswer(sent, { repeat }) {
  const parts = sent.answer ? answered(sent) : unanswered(sent);
  byId("answer-content").replaceChildren(...parts, sent.reaction ? element("p", { class: "note" }, sent.reaction) : "");
  byId("answer-raw").replaceChildren(
    element("div", { class: "buttons" }, element("button", { type: "button", click: repeat }, "Send the same again")),
    raw("The request as it was sent", `${sent.request.method} ${sent.request.url}\n${headers(sent.request.headers)}\n\n${sent.request.body}`),
    sent.answer ? raw("The answer as it came", `${sent.answer.status}\n${headers(sent.answer.headers)}\n\n${pretty(sent.answer.body)}`) : "",
    raw("The same from a shell", sent.curl),
  );
}

function answered(sent) {
  const answer = read(sent.answer.body);
  const order = answer.lineItems ? answer : answer.order;
  return [
    element("p", { class: "outcome" }, state(outcomeState(answer)), " ", element("span", { class: "note" }, `${sent.answer.status} after ${milliseconds(sent.took_s)}`)),
    element("p", {}, answer.message ?? answer.detail ?? "The answer is the host's, not the function's."),
    ...(answer.errors ?? []).map(({ pointer, message }) => element("p", {}, `${pointer}: ${message}`)),
    answer.outcome ? "" : element("p", { class: "note" }, answer.retryable ? "Send the same request again later." : "The same request would be refused again."),
    order?.lineItems?.length ? lineTable(order.lineItems, answer.dryRun) : "",
  ];
}

function unanswered(sent) {
  return [
    element("p", { class: "outcome" }, state({ shape: "✕", word: "no answer", tone: "stop" })),
    element("p", {}, `${sent.fault}. Nobody knows from this whether something was cancelled. Send the same again: a repeat is safe.`),
  ];
}

function lineTable(lines, isDryRun) {
  const rows = lines.map((line) => {
    const shown = isDryRun || line.cancelled || line.endsAtTerm ? stateOf(line) : line.code ? { shape: "✕", word: line.code, tone: "stop" } : { shape: "●", word: "lives on", tone: "calm" };
    return element(
      "tr",
      {},
      element("td", {}, line.lineItemNumber ?? "–"),
      element("td", {}, line.friendlyName || line.offerId || ""),
      element("td", {}, line.quantity ?? "–"),
      element("td", {}, state(shown)),
    );
  });
  const headings = ["Line", "Product", "Quantity", "State"].map((text) => element("th", { scope: "col" }, text));
  return element("table", {}, element("thead", {}, element("tr", {}, headings)), element("tbody", {}, rows));
}

function stateOf(line) {
  if (line.endsAtTerm && !line.cancelled) return { shape: "◆", word: `ends on ${line.termEndsOn?.slice(0, 10)}`, tone: "good" };
  return lineState(line);
}

const headers = (named) => Object.entries(named).map(([name, value]) => `${name}: ${value}`).join("\n");

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
