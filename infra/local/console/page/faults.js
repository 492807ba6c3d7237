// Switches for what can go wrong, and time. A fault has the name of its switch, so that curl and the page see the same.

import { ask } from "./api.js";
import { byId, element } from "./dom.js";

const MANY = 100_000;

const SWITCHES = {
  lost: {
    title: "The answer is lost",
    text: "Partner Center carries out the next PATCH, and the connection breaks before its answer.",
    faults: [{ service: "partner_center", method: "PATCH", hang_up: "after" }],
  },
  throttled: {
    title: "Partner Center throttles",
    text: "Each request is answered 429 with Retry-After 20, until you turn it off.",
    faults: [{ service: "partner_center", status: 429, headers: { "Retry-After": "20" }, body: { code: 429 }, times: MANY }],
  },
  vault: {
    title: "Key Vault is down",
    text: "A worker that holds a token does not ask it: kill the worker, too.",
    faults: [{ service: "key_vault", status: 503, times: MANY }],
  },
  rotated: {
    title: "The secret is rotated",
    text: "Vault and Entra ID get a new secret, and the next PATCH is refused with 401: the old token is void.",
    faults: [{ service: "partner_center", method: "PATCH", status: 401, body: {} }],
  },
  killed: {
    title: "The worker is killed",
    text: "Partner Center carries out the next PATCH, and the process ends a second later, before it has the answer.",
    faults: [{ service: "partner_center", method: "PATCH", slow_s: 30, kill_after_s: 1 }],
  },
};

export function showSwitches({ accounts }, report) {
  byId("fault-list").replaceChildren(
    ...Object.entries(SWITCHES).map(([name, { title, text }]) =>
      element(
        "div",
        { class: "switch" },
        element(
          "label",
          { class: "inline" },
          element("input", { type: "checkbox", role: "switch", id: `fault-${name}`, "aria-describedby": `about-${name}`, change: (event) => turn(name, event.target.checked, accounts, report) }),
          ` ${title} `,
          element("span", { class: "on-off", id: `state-${name}`, "aria-hidden": "true" }, "off"),
        ),
        element("p", { class: "note", id: `about-${name}` }, text),
      ),
    ),
  );
}

export function showFaults(faults) {
  const onNow = new Set(faults.map(({ name }) => name));
  for (const name of Object.keys(SWITCHES)) {
    byId(`fault-${name}`).checked = onNow.has(name);
    byId(`state-${name}`).textContent = onNow.has(name) ? "on" : "off";
  }
  const others = faults.filter(({ name }) => !(name in SWITCHES)).length;
  byId("other-faults").textContent = others ? `${others} more from elsewhere: GET /faults lists them.` : "";
}

export async function turn(name, isOn, accounts, report) {
  try {
    await ask("DELETE", `faults?name=${name}`);
    if (isOn) {
      if (name === "rotated") await rotate(accounts.find((account) => account.name === "default"));
      for (const fault of SWITCHES[name].faults) await ask("POST", "faults", { name, ...fault });
    }
  } catch (error) {
    report(error.message);
    byId(`fault-${name}`).checked = byId(`state-${name}`).textContent === "on"; // as the local cloud has it
  }
}

// In an order without a moment in which the old secret is refused and the new one is not in the vault yet.
async function rotate({ clientId, secretName }) {
  const secret = crypto.randomUUID();
  const versions = await ask("GET", `secrets/${secretName}`);
  await ask("PUT", `clients/${clientId}`, { secrets: [versions.at(-1).value, secret] });
  await ask("PUT", `secrets/${secretName}`, { value: secret });
  await ask("PUT", `clients/${clientId}`, { secret });
}
