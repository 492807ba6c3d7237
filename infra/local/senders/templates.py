"""The bodies in infra/ticketing, filled in as each ticketing system fills in its own.

Liquid for Zendesk, Freshservice and Freshdesk (python-liquid), smart values for Jira, variables for
HaloPSA, and for ServiceNow its script, run in a JavaScript engine of the same age (ES5). A
placeholder that the made-up ticket has nothing for is an error here, so that no template goes astray.

Nobody could ask the real systems; the pages in infra/ticketing say for each what is known of its escaping.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dukpy
from liquid import Environment, StrictUndefined

TEMPLATES = Path(__file__).resolve().parents[2] / "ticketing"


@dataclass(frozen=True)
class Ticket:
    """What stands in a ticket. *subject* is free text, *reason* chosen from a list, *lines* as `0,2`."""

    customer_tenant_id: str
    order_id: str
    lines: str = ""
    number: int = 48151
    subject: str = "Customer bought the wrong edition"
    reason: str = "wrong_edition"

    @property
    def key(self) -> str:
        return f"OPS-{self.number}"


@dataclass(frozen=True)
class Template:
    """How a system makes a body. *takes_lines*: several in one field, not just one."""

    takes_lines: bool
    text: Callable[[bool], str]
    fill: Callable[[str, Ticket], str]


def render(system: str, ticket: Ticket, *, dry_run: bool = False) -> bytes:
    """Return the body that *system* sends for *ticket*: the whole order, or the lines where it has some.

    *dry_run* is what the pages tell whoever tries it out to write in the template.
    """
    template = SYSTEMS[system]
    text = template.text(bool(ticket.lines))
    if dry_run:
        text, count = re.subn(r'("?dryRun"?): false', r"\1: true", text)
        if count != 1:
            raise ValueError(f"{system}: the template says dryRun {count} times")
    return template.fill(text, ticket).encode()


def _from_file(folder: str, for_lines: str) -> Callable[[bool], str]:
    return lambda lines: (TEMPLATES / folder / (for_lines if lines else "order.txt")).read_text()


def _from_zendesk_trigger(lines: bool) -> str:
    trigger = json.loads((TEMPLATES / "zendesk" / f"trigger-{'lines' if lines else 'order'}.json").read_bytes())
    [(_, body)] = [
        action["value"] for action in trigger["trigger"]["actions"] if action["field"] == "notification_webhook"
    ]
    return str(body)


def _servicenow_script(_lines: bool) -> str:
    return (TEMPLATES / "servicenow" / "business-rule.js").read_text()


def _liquid(fields: Callable[[Ticket], Mapping[str, Any]]) -> Callable[[str, Ticket], str]:
    environment = Environment(undefined=StrictUndefined)
    return lambda text, ticket: environment.from_string(text).render(ticket=fields(ticket))


def _jira(text: str, ticket: Ticket) -> str:
    values = {
        "issue.key": ticket.key,
        "issue.summary": ticket.subject,
        "issue.customfield_10001": ticket.customer_tenant_id,
        "issue.customfield_10002": ticket.order_id,
        "issue.customfield_10003": ticket.lines,
    }

    def filled(match: re.Match[str]) -> str:
        if match["list"]:
            return match["between"].join(
                match["each"].replace("{{.}}", one) for one in values[match["list"]].split(",")
            )
        text = values[match["name"]]
        return json.dumps(text) if match["json"] else text

    section = r'\{\{#(?P<list>[\w.]+)\.split\(","\)\}\}(?P<each>.*?)\{\{\^last\}\}(?P<between>.*?)\{\{/\}\}\{\{/\}\}'
    value = r"\{\{(?P<name>[\w.]+?)(?P<json>\.asJsonString)?\}\}"
    # In one pass, so that what stands in a field is never taken for a placeholder.
    return re.sub(f"{section}|{value}", filled, text)


def _halo(text: str, ticket: Ticket) -> str:
    values: dict[str, str | int] = {
        "ticket^id": ticket.number,
        "ticket^summary": ticket.subject,
        "ticket^CFCustomerTenant": ticket.customer_tenant_id,
        "ticket^CFOrderId": ticket.order_id,
        "ticket^CFOrderLine": int(ticket.lines) if ticket.lines.isdigit() else ticket.lines,
    }
    return re.sub(r"<<([\w^]+)>>", lambda match: json.dumps(values[match[1]]), text)


def _servicenow(text: str, ticket: Ticket) -> str:
    record = {
        "number": ticket.key,
        "short_description": ticket.subject,
        "u_customer_tenant": ticket.customer_tenant_id,
        "u_order_id": ticket.order_id,
        "u_order_lines": ticket.lines,
        "u_cancel_order": "order_lines" if ticket.lines else "whole_order",
    }
    return str(run_business_rule(text, record, {"status": 200, "body": "{}"})["body"])


def run_business_rule(script: str, record: Mapping[str, str], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Run a ServiceNow business rule on *record* and return what it sent and noted: `body`, `notes`."""
    surroundings = """
        var sent = { body: null, notes: null };
        var current = {
            getValue: function (name) {
                if (!(name in dukpy.record)) throw new Error('no such field: ' + name);
                return dukpy.record[name];
            },
            update: function () { sent.notes = String(this.work_notes); }
        };
        var previous = null;
        var sn_ws = { RESTMessageV2: function (message, method) {
            if (message != 'Cancel Microsoft order' || method != 'cancel') throw new Error('no such message');
            this.disableForcedVariableSubstitution = function () { sent.plain = true; };
            this.setHttpTimeout = function (ms) { sent.timeout_ms = ms; };
            this.setRequestBody = function (body) { sent.body = String(body); };
            this.execute = function () {
                if (dukpy.answer.status === null) throw new Error('timed out');
                return {
                    getStatusCode: function () { return dukpy.answer.status; },
                    getBody: function () { return dukpy.answer.body; }
                };
            };
        } };
    """
    sent: dict[str, Any] = dukpy.evaljs([surroundings, script, "sent"], record=dict(record), answer=dict(answer))
    return sent


def _freshworks(system: str, prefix: str) -> Template:
    """Return the template of *system*, whose custom fields are named with *prefix*."""
    fill = _liquid(
        lambda ticket: {
            "id": ticket.number,
            f"{prefix}customer_tenant": ticket.customer_tenant_id,
            f"{prefix}order_id": ticket.order_id,
            f"{prefix}order_line": ticket.lines,
            f"{prefix}cancel_reason": ticket.reason,
        }
    )
    return Template(takes_lines=False, text=_from_file(system, "lines.txt"), fill=fill)


SYSTEMS = {
    "zendesk": Template(
        takes_lines=True,
        text=_from_zendesk_trigger,
        fill=_liquid(
            lambda ticket: {
                "id": ticket.number,
                "ticket_field_1001": ticket.customer_tenant_id,
                "ticket_field_1002": ticket.order_id,
                "ticket_field_1003": ticket.lines,
                "ticket_field_1004": ticket.reason,
            }
        ),
    ),
    "jira": Template(takes_lines=True, text=_from_file("jira", "lines.txt"), fill=_jira),
    "servicenow": Template(takes_lines=True, text=_servicenow_script, fill=_servicenow),
    "freshservice": _freshworks("freshservice", ""),
    "freshdesk": _freshworks("freshdesk", "cf_"),
    "halo": Template(takes_lines=False, text=_from_file("halo", "lines.txt"), fill=_halo),
}
