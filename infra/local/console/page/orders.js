// The list of a customer's orders and subscriptions, as find_orders answers: each line with what a dry run says.

import { ask } from "./api.js";
import { byId, element, read, state } from "./dom.js";
import { day, lineState, subscriptionWords } from "./words.js";

// Correlation ids of the page's own looks begin so, in every tab: no request of the visitor caused their calls.
const OWN = "00c0501e";
let latest = 0;
let shownCustomer = null;

export const isOwnLook = (correlationId) => Boolean(correlationId?.startsWith(OWN));

// A new trace id; the function makes the correlation id from it.
function ownTrace() {
  return OWN + crypto.randomUUID().replaceAll("-", "").slice(OWN.length);
}

// `choose` gets the target that a visitor chooses: kind, id, customer, lines. `chosen` tells which one is.
export async function showOrders({ catalogue, account, choose, chosen }) {
  const look = ++latest;
  const customer = byId("customer").value;
  const text = byId("text").value.trim();
  if (customer !== shownCustomer) { // what is shown is another customer's
    byId("found").textContent = "Looking …";
    byId("order-list").replaceChildren();
  }
  shownCustomer = customer;
  byId("order-list").setAttribute("aria-busy", "true");
  const { orders, note } = await find(catalogue, customer, account, text);
  if (look !== latest) return; // a later look is on its way
  const notes = notesOf(catalogue);
  byId("found").textContent = note;
  byId("order-list").replaceChildren(...orders.map((order) => orderItem(order, customer, notes, choose)));
  byId("order-list").removeAttribute("aria-busy");
  markChosen(chosen());
}

export function markChosen(target) {
  const list = byId("order-list");
  for (const item of list.children) {
    const isChosen = Boolean(target) && item.dataset.ids.split(" ").includes(target);
    if (isChosen) {
      item.setAttribute("aria-current", "true");
      list.scrollTop = item.offsetTop - list.offsetTop; // the list alone: scrollIntoView moves the page too
    } else {
      item.removeAttribute("aria-current");
    }
  }
}

async function find(catalogue, customer, account, text) {
  let fault;
  try {
    const found = await ask("POST", "find", { customer, account, text: text || null, traceId: ownTrace() });
    const answer = read(found.body);
    if (found.status === 200) {
      const more = answer.more ? " There are others." : "";
      return { orders: answer.orders, note: `${answer.orders.length} found, the newest first.${more}` };
    }
    fault = `${found.status} ${answer.code ?? ""}: ${answer.detail ?? ""}`;
  } catch (error) {
    fault = error.message;
  }
  return { orders: unread(catalogue, customer), note: `${fault} The orders below are shown without their state.` };
}

// The orders that the local cloud began with, to choose from when they cannot be read.
function unread({ customers, orders }, customer) {
  const tenantId = customers.find(({ domain }) => domain === customer)?.customerTenantId;
  return orders
    .filter(({ customerTenantId }) => customerTenantId === tenantId)
    .map(({ orderId }) => ({ orderId, creationDate: null, lineItems: [] }));
}

function notesOf({ orders, subscriptions }) {
  return new Map([
    ...orders.map((order) => [order.orderId, order.note]),
    ...subscriptions.map((subscription) => [subscription.subscriptionId, subscription.note]),
  ]);
}

function orderItem(order, customer, notes, choose) {
  const ids = [order.orderId, ...order.lineItems.map((line) => line.subscriptionId)].filter(Boolean);
  const bought = order.creationDate ? element("span", { class: "note" }, `of ${day(order.creationDate)}`) : null;
  const head = order.orderId
    ? element("h3", {}, element("code", {}, order.orderId), " ", bought)
    : element("h3", {}, "A subscription that no order names");
  const note = notes.get(order.orderId ?? ids[0]);
  const chooseOrder = () =>
    choose({ kind: "order", id: order.orderId, customer, lines: order.lineItems });
  return element(
    "li",
    { "data-ids": ids.join(" ") },
    head,
    note ? element("p", { class: "note" }, note) : null,
    element("ul", {}, order.lineItems.map((line) => lineItem(line, customer, choose))),
    order.orderId
      ? element("button", { type: "button", click: chooseOrder, "aria-label": `Choose the order ${order.orderId}` }, "Choose the order")
      : null,
  );
}

function lineItem(line, customer, choose) {
  const about = subscriptionWords(line);
  const number = line.lineItemNumber === null ? "" : `${line.lineItemNumber}: `;
  const chooseSubscription = () => choose({ kind: "subscription", id: line.subscriptionId, customer, lines: [] });
  return element(
    "li",
    {},
    element("span", {}, `${number}${line.friendlyName || line.offerId || "a product without a name"}, quantity ${line.quantity ?? "unknown"}`),
    element("br"),
    state(lineState(line)),
    about ? element("p", { class: "note" }, about) : null,
    line.subscriptionId
      ? element(
          "button",
          { type: "button", click: chooseSubscription, "aria-label": `Choose the subscription ${line.subscriptionId}` },
          "Choose the subscription",
        )
      : null,
  );
}
