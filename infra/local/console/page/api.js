// Requests to the control interface, which serves this page.

export async function ask(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  const answer = await fetch(path, options).catch(() => {
    throw new Error("The local cloud gives no answer. Does make serve still run?");
  });
  const content = await answer.json().catch(() => ({ error: `${answer.status} without an explanation` }));
  if (!answer.ok) throw Object.assign(new Error(reasonOf(content.error)), { isAnswer: true });
  return content;
}

// `handlers` has a function for each event; it gets the event's content.
export function listen(handlers, onState) {
  let source = null;
  const update = () => {
    source?.close();
    source = null;
    // A browser has six connections to a server for all its tabs together. Those that nobody sees give theirs back.
    if (document.visibilityState === "hidden") return;
    source = new EventSource("events");
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
    source.addEventListener("open", () => onState(true));
    source.addEventListener("error", () => onState(false));
  };
  document.addEventListener("visibilitychange", update);
  update();
}

function reasonOf(error) {
  if (!Array.isArray(error)) return String(error);
  return error.map(({ field, message }) => (field.join(".") === "body" ? message : `${field.join(".")}: ${message}`)).join("; ");
}
