// Puts the parts of the page together.

import { addRecord, showRecords } from "./audit.js";
import { showAnswer, showFailure, showWaiting } from "./answer.js";
import { ask, listen } from "./api.js";
import { begin, end, takeCall } from "./calls.js";
import { byId, element } from "./dom.js";
import { showFaults, showSwitches, turn, watchForKill } from "./faults.js";
import { markChosen, showOrders } from "./orders.js";
import { fillForm, rememberTicket, sending, setErrand, setTarget, target } from "./request.js";
import { follow, showTicket } from "./ticket.js";

const catalogue = await ask("GET", "catalogue");
const report = (text) => {
  byId("done").textContent = text;
};
const refreshOrders = () =>
  showOrders({ catalogue, account: byId("account").value, choose, chosen: () => target().id });

function choose(chosen) {
  setTarget(chosen);
  markChosen(chosen.id);
  byId("request").scrollIntoView({ block: "nearest" });
  byId("send").focus({ preventScroll: true });
}

async function send({ dryRun, isRepeat = false }) {
  const wanted = sending({ dryRun, isRepeat });
  const { name, told } = catalogue.senders.find(({ system }) => system === wanted.system);
  setBusy(true);
  showWaiting();
  begin(name);
  try {
    const sent = await ask("POST", "send", wanted);
    rememberTicket(sent.ticketNumber);
    end(sent);
    showAnswer(sent, { repeat: () => send({ dryRun, isRepeat: true }) });
    await follow({ system: ticketSystem(wanted.system), name, ticketId: sent.ticketId, isTold: told });
  } catch (error) {
    showFailure(error.message);
  }
  setBusy(false);
  byId("answer-heading").focus({ preventScroll: true });
  byId("answer").scrollIntoView({ block: "nearest" });
  await refreshOrders();
}

// curl calls with Jira's key, so its tickets are Jira's.
const ticketSystem = (system) => (system === "curl" ? "jira" : system);

function setBusy(isBusy) {
  for (const button of [byId("send"), byId("dry-run")]) button.disabled = isBusy;
}

function showScenarios() {
  byId("scenarios").replaceChildren(
    ...catalogue.scenarios.map((scenario) =>
      element(
        "li",
        {},
        element("button", { type: "button", click: () => play(scenario) }, element("strong", {}, scenario.title)),
        element("p", { class: "note" }, scenario.text),
      ),
    ),
  );
}

async function play({ title, system, errand, fault }) {
  const customer = catalogue.customers.find(({ customerTenantId }) => customerTenantId === errand.customer);
  byId("customer").value = customer.domain;
  byId("text").value = "";
  setErrand(system, { ...errand, customer: customer.domain });
  if (fault) await turn(fault, true, catalogue.accounts, report);
  byId("answer-content").replaceChildren(element("p", {}, `${title}: the form is filled in. Send the request.`));
  byId("answer-raw").replaceChildren();
  byId("request").scrollIntoView({ block: "nearest" });
  byId("send").focus({ preventScroll: true });
  await refreshOrders();
}

async function act(done, action) {
  report("…");
  try {
    await action();
    report(done);
  } catch (error) {
    report(error.message);
  }
  await Promise.all([refreshOrders(), showTicket()]);
}

// Several changes come at once, and one look is enough for them.
let isTicketStale = false;
function refreshTicketSoon() {
  if (isTicketStale) return;
  isTicketStale = true;
  setTimeout(() => {
    isTicketStale = false;
    showTicket().catch(() => {});
  }, 100);
}

function takeRequest(call) {
  watchForKill(call);
  takeCall(call);
  const isAnswered = call.status !== null || call.dropped;
  if (isAnswered && call.method !== "GET" && (call.service === "ticketing" || call.service === "queue")) refreshTicketSoon();
}

async function catchUp() {
  const [faults, records, requests] = await Promise.all([ask("GET", "faults"), ask("GET", "audit"), ask("GET", "requests")]);
  showFaults(faults);
  showRecords(records);
  requests.forEach(takeCall);
  await showTicket();
}

function wire() {
  byId("customer").replaceChildren(
    ...catalogue.customers.map(({ domain, name }) => element("option", { value: domain }, `${name} (${domain})`)),
  );
  byId("customer").addEventListener("change", refreshOrders);
  byId("account").addEventListener("change", refreshOrders);
  byId("look").addEventListener("submit", (event) => {
    event.preventDefault();
    refreshOrders();
  });
  byId("request-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send({ dryRun: event.submitter === byId("dry-run") });
  });
  byId("age").addEventListener("submit", (event) => {
    event.preventDefault();
    const { kind, id } = target();
    const days = Number(byId("days").value);
    if (!id) return report("Choose an order or a subscription first.");
    act(`${id} is ${days} days older.`, () => ask("POST", `${kind}s/${encodeURIComponent(id)}/age`, { days }));
  });
  byId("wake").addEventListener("click", () => act("Every message in the queue is visible now.", () => ask("POST", "queue/wake")));
  byId("run-timer").addEventListener("click", () => act("tell_ticket has run.", () => ask("POST", "timers/tell_ticket")));
  byId("kill").addEventListener("click", () => act("The worker was killed. A new one serves.", () => ask("POST", "kill")));
}

wire();
fillForm(catalogue);
showScenarios();
showSwitches(catalogue, report);
listen({ start: catchUp, request: takeRequest, faults: showFaults, audit: addRecord }, (isOpen) => {
  byId("connection").textContent = isOpen ? "● Connected: what happens is shown at once." : "✕ Not connected. Does make serve still run?";
});
await refreshOrders();
