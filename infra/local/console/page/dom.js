// Makes elements. Text goes in as text alone, so nothing that a stand-in sends can become part of the page.

export const byId = (id) => document.getElementById(id);

// Members of `attributes` that are functions listen to the event of that name; false and null are left out.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// A state as a shape and a word: the colour says nothing that these do not.
export function state({ shape, word, tone }) {
  const parts = word.split(/(?<=_)/).flatMap((part) => [element("wbr"), part]); // a code may be wider than its column
  return element("span", { class: `state ${tone}` }, element("span", { "aria-hidden": "true" }, shape), " ", parts.slice(1));
}

export function raw(title, text) {
  return element(
    "details",
    {},
    element("summary", {}, title),
    element("pre", { tabindex: "0", "aria-label": title, role: "region" }, text),
  );
}

export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// The members of a JSON object; none for anything else, as in an answer of the host's own.
export function read(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}
