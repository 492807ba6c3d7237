// Puts the parts of the page together.

import { addRecord } from "./audit.js";
import { showAnswer, showFailure, showHint, showWaiting } from "./answer.js";
import { ask, listen } from "./api.js";
import { abandon, begin, end, takeCall } from "./calls.js";
import { byId, element } from "./dom.js";
import { showFaults, showSwitches, turn } from "./faults.js";
import { markChosen, showOrders } from "./orders.js";
import { fillForm, sending, setErrand, setTarget, target } from "./request.js";
import { follow, showTicket } from "./ticket.js";

const catalogue = await ask("GET", "catalogue").catch((error) => {
  byId("connection").textContent = `✕ ${error.message}`;
  throw error;
});
const report = (text) => {
  byId("done").textContent = text;
};
const refreshOrders = () =>
  showOrders({ catalogue, account: byId("account").value, choose, chosen: () => target().id });

function choose(chosen) {
  setTarget(chosen);
  if (!byId("answer-raw").hasChildNodes()) showHint("The form is filled in. Send the request, or try a dry run.");
  markChosen(chosen.id);
  byId("request").scrollIntoView({ block: "nearest" });
  byId("send").focus({ preventScroll: true });
}

// `wanted` is what `POST /send` takes. A repeat is the same for the same ticket, whatever the form says by then.
async function send(wanted) {
  const { name, tickets } = catalogue.senders.find(({ system }) => system === wanted.system);
  setBusy(true);
  showWaiting();
  follow(null);
  begin(name);
  const sent = await ask("POST", "send", wanted).catch((error) => {
    if (error.isAnswer) abandon();
    showFailure(error);
  });
  if (sent) {
    const lost = end(sent);
    showAnswer(sent, {
      lost,
      tellsTicket: Boolean(tickets),
      repeat: () => send({ ...wanted, ticketNumber: sent.ticketNumber }),
    });
    const told = catalogue.senders.find(({ system }) => system === tickets);
    follow({ caller: tickets, system: tickets, systemName: told?.name ?? name, ticketId: sent.ticketId });
  }
  setBusy(false);
  if (document.activeElement === document.body) { // the button that had the focus was turned off or is gone
    byId("answer-heading").focus({ preventScroll: true });
    byId("answer").scrollIntoView({ block: "nearest" });
  }
  await refreshOrders();
}

// One request at a time: the drawing and the answer are those of the last one.
function setBusy(isBusy) {
  for (const button of document.querySelectorAll("#send, #dry-run, #scenarios button")) button.disabled = isBusy;
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
  showHint(`${title}: the form is filled in. Send the request.`);
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
  takeCall(call);
  const isAnswered = call.status !== null || call.dropped;
  if (isAnswered && call.method !== "GET" && (call.service === "ticketing" || call.service === "queue")) refreshTicketSoon();
}

async function catchUp() {
  await Promise.all([
    ask("GET", "faults").then(showFaults),
    ask("GET", "audit").then((records) => records.forEach(addRecord)),
    ask("GET", "requests").then((requests) => requests.forEach(takeCall)),
    showTicket(),
  ]);
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
    send(sending({ dryRun: event.submitter === byId("dry-run") }));
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
listen({ start: () => catchUp().catch((error) => report(error.message)), request: takeRequest, faults: showFaults, audit: addRecord }, (isOpen) => {
  byId("connection").textContent = isOpen ? "● Connected: what happens is shown at once." : "✕ Not connected. If make serve was started again, open the address that it prints.";
});
await refreshOrders();
