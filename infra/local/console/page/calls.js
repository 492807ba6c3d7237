// The calls that a request causes, drawn as a sequence while they happen: each with its time, its way and its answer.

import { byId, element, pretty, read, state } from "./dom.js";
import { isOwnLook } from "./orders.js";
import { callState, milliseconds, outcomeState } from "./words.js";

const LANES = ["Sender", "Function", "Identity", "Key Vault", "Entra ID", "Partner Center", "Queue", "Ticketing"];
const LANE_OF = { identity: 2, key_vault: 3, entra: 4, partner_center: 5, queue: 6, ticketing: 7 };
const SENDER = 0, FUNCTION = 1;
const SHOWN = 300;
const SAME_RUN_S = 5;

let began = null; // seconds since 1970; null before the first request
let newest = 0; // the number of the newest call that is known, shown or not
let after = 0; // only calls with higher numbers belong to the request
let isAnswered = false;
let sender = "";
let polls = []; // looks at the queue that may have found nothing: shown once something follows
const rows = new Map(); // by the number of the call

export function begin(name) {
  began = Date.now() / 1000;
  after = newest;
  sender = name;
  isAnswered = false;
  polls = [];
  rows.clear();
  byId("no-calls").hidden = true;
  showLanes();
  byId("call-list").replaceChildren(requestRow({ shape: "◔", word: "waiting", tone: "wait" }));
}

export function end(sent) {
  isAnswered = true;
  byId("call-list").firstElementChild.replaceWith(requestRow({ shape: "●", word: "sent", tone: "calm" }));
  const body = sent.answer ? read(sent.answer.body) : {};
  const word = sent.answer ? `${sent.answer.status} ${body.outcome ?? body.code ?? ""}` : "no answer, connection lost";
  const shown = sent.answer ? { ...outcomeState(body), word } : { shape: "✕", word, tone: "stop" };
  add(row({ time: Math.max(sent.time + sent.took_s - began, 0), from: FUNCTION, to: SENDER, what: "the answer", state: shown }));
  return [...rows.values()].filter(({ isLost }) => isLost).length;
}

// Shows no calls: nothing was sent.
export function abandon() {
  began = null;
  byId("no-calls").hidden = false;
  byId("lanes").hidden = true;
  byId("call-list").replaceChildren();
}

export function takeCall(call) {
  newest = Math.max(newest, call.number);
  if (began === null || call.number <= after || isOwnLook(call.headers["ms-correlationid"])) return;
  const known = rows.get(call.number);
  if (known) {
    if (!known.isAnswered) renew(known.item, rowOf(call));
  } else if (isAnswered && isPoll(call)) {
    polls = [...polls.filter(({ number }) => number !== call.number), call];
  } else {
    polls.filter(({ time }) => call.time - time < SAME_RUN_S).forEach((poll) => add(rowOf(poll)));
    polls = [];
    add(rowOf(call));
  }
}

// tell_ticket asks the queue every minute, mostly in vain.
const isPoll = ({ service, method }) => service === "queue" && method === "GET";

function rowOf(call) {
  const made = row({
    time: Math.max(call.time - began, 0),
    from: FUNCTION,
    to: LANE_OF[call.service],
    what: `${call.method} ${shortened(call.path)}`,
    state: callState(call),
    details: pretty(JSON.stringify({ path: call.path, headers: call.headers, body: call.body })),
  });
  rows.set(call.number, { item: made, isAnswered: call.status !== null || call.dropped, isLost: call.dropped && call.service === "partner_center" });
  return made;
}

// The end of the path says what a call is about; the whole of it is in the details.
const shortened = (path) => path.split("?")[0].split("/").filter(Boolean).slice(-2).join("/");

// Puts `made` in the place of `item`; a row that somebody has opened or reached stays so.
function renew(item, made) {
  const hadFocus = item.contains(document.activeElement);
  const [was, is] = [item, made].map((row) => row.querySelector("details"));
  if (was && is) is.open = was.open;
  item.replaceWith(made);
  if (hadFocus) is?.querySelector("summary").focus({ preventScroll: true });
}

const requestRow = (shown) =>
  row({ time: 0, from: SENDER, to: FUNCTION, what: "POST /api/cancel_order", by: sender, state: shown });

function add(made) {
  const list = byId("call-list");
  list.append(made);
  if (list.children.length > SHOWN) list.children[1].remove();
}

function row({ time, from, to, what, by, state: shown, details }) {
  const arrow = element("span", { class: from < to ? "arrow" : "arrow back" });
  // Not an attribute: the page's policy lets no style in from the markup.
  arrow.style.setProperty("--from", Math.min(from, to));
  arrow.style.setProperty("--to", Math.max(from, to));
  const content = [
    element("span", { class: "time" }, time ? `+${milliseconds(time)}` : "0 ms"),
    element("span", { class: "way" }, `${from === SENDER && by ? by : LANES[from]} → ${LANES[to]} `),
    element("span", { class: "drawing", "aria-hidden": "true" }, arrow),
    element("span", { class: "what", title: what }, what),
    state(shown),
  ];
  if (!details) return element("li", {}, element("div", { class: "call" }, content));
  const text = element("pre", { tabindex: "0", role: "region", "aria-label": `The whole request ${what}` }, details);
  return element("li", {}, element("details", {}, element("summary", { class: "call" }, content), text));
}

function showLanes() {
  const lanes = byId("lanes");
  lanes.hidden = false;
  lanes.replaceChildren(element("span", { class: "drawing" }, LANES.map((lane) => element("span", {}, lane))));
}
