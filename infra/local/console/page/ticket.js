// The ticket of the last request: its notes, and what is still to be told.

import { ask } from "./api.js";
import { byId, element, read } from "./dom.js";
import { inWords } from "./words.js";

const POISON = "follow-up-poison";
let followed = null; // { caller, system, systemName, ticketId }; the system is null if its tickets are not told

// Shows `ticket` from now on; null for none.
export function follow(ticket) {
  followed = ticket;
  byId("ticket-name").hidden = true;
  byId("ticket-content").replaceChildren();
  say(ticket ? "Looking …" : "");
  showTicket().catch((error) => say(error.message));
}

export async function showTicket() {
  const ticket = followed;
  if (!ticket) return;
  if (!ticket.system) {
    say(`${ticket.systemName} gets no note from the function: it reads the answer by itself.`);
    return;
  }
  const [{ notes }, messages] = await Promise.all([
    ask("GET", `tickets/${ticket.system}/${encodeURIComponent(ticket.ticketId)}`),
    ask("GET", "queue"),
  ]);
  if (ticket !== followed) return;
  const waiting = messages
    .map(followUp)
    .filter(({ content }) => content.caller === ticket.caller && content.ticketId === ticket.ticketId)
    .sort((one, other) => (one.queue === POISON) - (other.queue === POISON) || one.dueIn - other.dueIn);
  byId("ticket-name").textContent = `${ticket.ticketId} in ${ticket.systemName}`;
  byId("ticket-name").hidden = false;
  say(stateOf(notes, waiting));
  const hadFocus = byId("ticket-content").contains(document.activeElement);
  byId("ticket-content").replaceChildren(
    element("ol", { class: "notes" }, notes.map(noteItem)),
    waiting.some(({ queue }) => queue !== POISON)
      ? element("div", { class: "buttons" }, element("button", { type: "button", click: tellNow }, "Write the note now"))
      : "",
  );
  if (hadFocus) byId("ticket-name").focus({ preventScroll: true }); // the button that had it is gone
}

async function tellNow() {
  try {
    await ask("POST", "queue/wake");
    await ask("POST", "timers/tell_ticket");
    await showTicket();
  } catch (error) {
    say(error.message);
  }
}

function stateOf(notes, waiting) {
  const [first] = waiting;
  if (first?.queue === POISON) return `The ticket cannot be told: ${first.content.reason}. The operator gets an alert.`;
  if (first?.content.failures > 0) return `The ticketing system failed. The function tries again in ${inWords(first.dueIn)}.`;
  if (first && first.dueIn > 0) return `A follow-up waits. The function looks at it in ${inWords(first.dueIn)}.`;
  if (first) return "A follow-up waits. The function looks at it within a minute.";
  return notes.length ? "The ticket has been told." : "Nothing waits to be told.";
}

function say(text) {
  if (byId("ticket-state").textContent !== text) byId("ticket-state").textContent = text;
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

function followUp(message) {
  return { queue: message.queue, dueIn: message.visible_in_s, content: read(message.text) };
}
