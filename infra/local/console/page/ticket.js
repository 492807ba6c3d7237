// The ticket of the last request: its notes, and what is still to be told.

import { ask } from "./api.js";
import { byId, element } from "./dom.js";
import { inWords } from "./words.js";

const POISON = "follow-up-poison";
let followed = null; // { system, name, ticketId, isTold }

export function follow(ticket) {
  followed = ticket;
  return showTicket();
}

export async function showTicket() {
  const ticket = followed;
  if (!ticket) return;
  const content = byId("ticket-content");
  if (!ticket.isTold) {
    content.replaceChildren(element("p", {}, `${ticket.name} gets no note from the function: it reads the answer by itself.`));
    return;
  }
  const [{ notes }, messages] = await Promise.all([ask("GET", `tickets/${ticket.system}/${ticket.ticketId}`), ask("GET", "queue")]);
  if (ticket !== followed) return;
  const waiting = messages.map(read).filter(({ content: said }) => said.caller === ticket.system && said.ticketId === ticket.ticketId);
  content.replaceChildren(
    element("h3", {}, `${ticket.ticketId} in ${ticket.name}`),
    element("p", { role: "status" }, stateOf(notes, waiting)),
    element("ol", { class: "notes" }, notes.map(noteItem)),
    waiting.length
      ? element("div", { class: "buttons" }, element("button", { type: "button", click: tellNow }, "Write the note now"))
      : "",
  );
}

export async function tellNow() {
  await ask("POST", "queue/wake");
  await ask("POST", "timers/tell_ticket");
  await showTicket();
}

function stateOf(notes, waiting) {
  const [first] = waiting;
  if (first?.queue === POISON) return `The ticket cannot be told: ${first.content.reason}. The operator gets an alert.`;
  if (first && first.dueIn > 0) return `It is open what happened. The function looks again in ${inWords(first.dueIn)}, and then tells the ticket.`;
  if (first) return "The ticket is told within a minute.";
  return notes.length ? "The ticket has been told." : "Nothing waits to be told.";
}

function noteItem(note) {
  const seen = note.private ? "only agents see it" : "everybody sees it";
  const time = new Date(note.time * 1000);
  return element(
    "li",
    {},
    element("p", { class: "note" }, element("time", { datetime: time.toISOString() }, time.toLocaleTimeString()), `, ${seen}`),
    element("pre", {}, note.text),
  );
}

function read(message) {
  const parsed = { queue: message.queue, dueIn: message.visible_in_s, content: {} };
  try {
    return { ...parsed, content: JSON.parse(message.text) ?? {} };
  } catch {
    return parsed;
  }
}
