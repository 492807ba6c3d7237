// The form of the request: who sends it, and what is to be cancelled.

import { byId, element } from "./dom.js";

let showNote = () => {};
let customer = null; // of the target that was chosen; null for an id that somebody typed

export function fillForm({ senders, accounts }) {
  byId("sender").replaceChildren(
    ...senders.map(({ system, name, tickets }) => element("option", { value: system }, tickets ? `${name} (its ticket is told)` : name)),
  );
  byId("account").replaceChildren(...accounts.map(({ name }) => element("option", { value: name }, name)));
  showNote = () => {
    byId("account-note").textContent = accounts.find(({ name }) => name === byId("account").value)?.note ?? "";
  };
  byId("account").addEventListener("change", showNote);
  showNote();
  for (const choice of document.querySelectorAll('input[name="kind"]')) choice.addEventListener("change", () => showLines([]));
  byId("target").addEventListener("input", () => {
    customer = null;
    showLines([]);
    showCustomer();
  });
  byId("customer").addEventListener("change", showCustomer);
}

export function setTarget({ kind, id, customer: named, lines = [] }) {
  byId("target").value = id;
  radio("kind", kind).checked = true;
  customer = named;
  showCustomer();
  showLines(kind === "order" && lines.length > 1 ? lines : []);
}

export function setErrand(system, errand) {
  const kind = errand.subscriptionId ? "subscription" : "order";
  byId("sender").value = system;
  byId("account").value = errand.account ?? "default";
  showNote();
  setTarget({ kind, id: errand.subscriptionId ?? errand.orderId, customer: errand.customer });
  radio("when", errand.when ?? "now").checked = true;
}

export const target = () => ({ kind: chosen("kind"), id: byId("target").value.trim() });

// What `POST /send` takes.
export function sending({ dryRun }) {
  const { kind, id } = target();
  const lines = [...document.querySelectorAll("#line-list input:checked")].map((box) => Number(box.value));
  return {
    system: byId("sender").value,
    [kind === "order" ? "orderId" : "subscriptionId"]: id,
    customer: customerOf(),
    lines: kind === "order" ? lines : [],
    when: chosen("when"),
    account: byId("account").value,
    dryRun,
  };
}

// An id that was typed is taken to be of the customer whose orders are shown.
const customerOf = () => customer ?? byId("customer").value;

function showCustomer() {
  byId("of-customer").textContent = `of the customer ${customerOf()}`;
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
