// The audit records, the newest first.

import { byId, element, raw } from "./dom.js";
import { isOwnLook } from "./orders.js";

const SHOWN = 200;
const shown = new Set();

export function addRecord(record) {
  const text = JSON.stringify(record, null, 2);
  if (shown.has(text)) return; // it came with the list and as an event
  if (isOwnLook(record.correlationId)) return;
  shown.add(text);
  byId("no-records").hidden = true;
  const list = byId("record-list");
  const about = [record.caller, record.orderId ?? record.subscriptionId ?? record.customerDomain, record.ticketId && `ticket ${record.ticketId}`];
  const older = [...list.children].find((item) => item.dataset.time <= record.time) ?? null;
  list.insertBefore(
    element(
      "li",
      { "data-time": record.time },
      element("time", { datetime: record.time }, new Date(record.time).toLocaleTimeString()),
      " ",
      element("strong", {}, record.event),
      ` ${record.outcome ?? record.code ?? ""} `,
      element("span", { class: "note" }, about.filter(Boolean).join(", ")),
      raw("The whole record", text),
    ),
    older,
  );
  if (list.children.length > SHOWN) list.lastElementChild.remove();
}
