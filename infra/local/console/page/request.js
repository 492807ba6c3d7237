// The form of the request: who sends it, and what is to be cancelled.

import { byId, element } from "./dom.js";

let customer = null; // of the target that was chosen; null for an id that somebody typed
let ticketNumber = null; // of the last request, for the same one again

export function fillForm({ senders, accounts }) {
  byId("sender").replaceChildren(
    ...senders.map(({ system, name, told }) => element("option", { value: system }, told ? `${name} (its ticket is told)` : name)),
  );
  byId("account").replaceChildren(...accounts.map(({ name }) => element("option", { value: name }, name)));
  const showNote = () => {
    byId("account-note").textContent = accounts.find(({ name }) => name === byId("account").value)?.note ?? "";
  };
  byId("account").addEventListener("change", showNote);
  showNote();
  byId("target").addEventListener("input", () => {
    customer = null;
    showLines([]);
  });
}

export function setTarget({ kind, id, customer: named, lines = [] }) {
  byId("target").value = id;
  radio("kind", kind).checked = true;
  customer = named;
  showLines(kind === "order" && lines.length > 1 ? lines : []);
}

export function setErrand(system, errand) {
  const kind = errand.subscriptionId ? "subscription" : "order";
  byId("sender").value = system;
  byId("account").value = errand.account ?? "default";
  byId("account").dispatchEvent(new Event("change"));
  setTarget({ kind, id: errand.subscriptionId ?? errand.orderId, customer: errand.customer });
  radio("when", errand.when ?? "now").checked = true;
}

export const target = () => ({ kind: chosen("kind"), id: byId("target").value.trim() });

// What `POST /send` takes.
export function sending({ dryRun, isRepeat = false }) {
  const { kind, id } = target();
  const lines = [...document.querySelectorAll("#line-list input:checked")].map((box) => Number(box.value));
  return {
    system: byId("sender").value,
    [kind === "order" ? "orderId" : "subscriptionId"]: id,
    customer: customer ?? byId("customer").value,
    lines: kind === "order" ? lines : [],
    when: chosen("when"),
    account: byId("account").value,
    dryRun,
    ticketNumber: isRepeat ? ticketNumber : null,
  };
}

export function rememberTicket(number) {
  ticketNumber = number;
}

function showLines(lines) {
  byId("lines").hidden = lines.length === 0;
  byId("line-list").replaceChildren(
    ...lines.map((line) =>
      element(
        "label",
        { class: "inline" },
        element("input", { type: "checkbox", value: line.lineItemNumber }),
        ` ${line.lineItemNumber}: ${line.friendlyName || line.offerId}`,
      ),
    ),
  );
}

const radio = (name, value) => document.querySelector(`input[name="${name}"][value="${value}"]`);
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
