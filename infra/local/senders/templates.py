"""Fills in the bodies of infra/ticketing as each ticketing system does.

Zendesk, Freshservice and Freshdesk use Liquid (python-liquid), Jira smart values, HaloPSA variables, and
ServiceNow a script, which runs here in a JavaScript engine of the same age (ES5). A placeholder for which the
made-up ticket has no value is an error here, so that a mistake in a template shows.

Nobody could ask the real systems. Each page in infra/ticketing says what is known about the system's escaping.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import dukpy
from liquid import Environment, StrictUndefined

from infra.local.values import Json
from shared.contract import When

type Choice = Literal["order", "lines", "subscription"]

TEMPLATES = Path(__file__).resolve().parents[2] / "ticketing"
TERM_END_LINE = '"when": "term_end",'


@dataclass(frozen=True)
class Ticket:
    """The fields of a ticket. *subject* is free text, *reason* is from a list, *lines* are numbers like `0,2`.

    With a *subscription_id* the agent chose the subscription, whatever the fields for an order hold. *when* `term_end`:
    the agent chose not to renew it. With a *customer_domain* the ticket's organisation names the customer, and the
    ticket's own field is empty.
    """

    customer_tenant_id: str
    order_id: str
    lines: str = ""
    number: int = 48151
    subject: str = "Customer bought the wrong edition"
    reason: str = "wrong_edition"
    subscription_id: str = ""
    when: When = "now"
    customer_domain: str = ""

    @property
    def key(self) -> str:
        return f"OPS-{self.number}"

    @property
    def choice(self) -> Choice:
        """What is sent: the choice in the field *Cancel Microsoft order*, apart from *do not renew*."""
        return "subscription" if self.subscription_id else "lines" if self.lines else "order"


def _with_term_end(text: str) -> str:
    """Return the body *text* with the line that the pages add for *do not renew*."""
    text, count = re.subn(r'^( *)("account": )', rf"\1{TERM_END_LINE}\n\1\2", text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"the template has account {count} times")
    return text


def _with_domain(text: str, line: str) -> str:
    """Return the body *text* with *line*, which the pages put in the place of the customer's tenant."""
    text, count = re.subn(r'^( *)"customerTenantId": .*$', lambda found: found[1] + line, text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"the template has customerTenantId {count} times")
    return text


@dataclass(frozen=True)
class Template:
    """A system's way to make a body.

    Attributes:
        takes_lines: whether a field of the ticket can hold several line numbers.
        sends_subject: whether the body has the ticket's subject, which is free text. Only a system that can write a
            value as JSON may send it.
        field_name: a regular expression for the names of the ticket's own fields, as they stand in the body.
        text: returns the template for a whole order, for lines, or for a subscription.
        domain_line: the line for a domain of the ticket's organisation, in the place of the customer's tenant. Empty
            for a script, which takes what it finds.
        fill: fills in a template from a ticket.
        not_renewing: makes a template for *do not renew* of it, as the pages say. A script needs nothing.
    """

    takes_lines: bool
    sends_subject: bool
    field_name: str
    text: Callable[[Choice], str]
    domain_line: str
    fill: Callable[[str, Ticket], str]
    not_renewing: Callable[[str], str] = _with_term_end


def render(system: str, ticket: Ticket, *, dry_run: bool = False, account: str = "default") -> bytes:
    """Return the body that *system* sends for *ticket*: for its subscription, its lines, or else the whole order.

    With *dry_run* the template says `dryRun: true`, as the pages ask for a first try. *account* takes the place of
    `default`, as the pages ask where the operator names another one.
    """
    template = SYSTEMS[system]
    text = template.text(ticket.choice)
    if ticket.when == "term_end":
        text = template.not_renewing(text)
    if ticket.customer_domain and template.domain_line:
        text = _with_domain(text, template.domain_line)
    if dry_run:
        text, count = re.subn(r'("?dryRun"?): false', r"\1: true", text)
        if count != 1:
            raise ValueError(f"{system}: the template has dryRun {count} times")
    text, count = re.subn(r"""("?account"?: )(["'])default\2""", rf"\g<1>\g<2>{account}\g<2>", text)
    if count != 1:
        raise ValueError(f"{system}: the template has the account default {count} times")
    return template.fill(text, ticket).encode()


def _from_file(folder: str) -> Callable[[Choice], str]:
    return lambda choice: (TEMPLATES / folder / f"{choice}.txt").read_text()


def _from_zendesk_trigger(choice: Choice) -> str:
    trigger = json.loads((TEMPLATES / "zendesk" / f"trigger-{choice}.json").read_bytes())
    [(_, body)] = [
        action["value"] for action in trigger["trigger"]["actions"] if action["field"] == "notification_webhook"
    ]
    return str(body)


def _servicenow_script(_choice: Choice) -> str:
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
        "issue.customfield_10004": ticket.subscription_id,
        "issue.customfield_10005.Domain": ticket.customer_domain,
    }

    def fill(match: re.Match[str]) -> str:
        if match["list"]:
            items = values[match["list"]].split(",")
            return match["between"].join(match["each"].replace("{{.}}", item) for item in items)
        value = values[match["name"]]
        return json.dumps(value) if match["json"] else value

    list_section = (
        r'\{\{#(?P<list>[\w.]+)\.split\(","\)\}\}(?P<each>.*?)\{\{\^last\}\}(?P<between>.*?)\{\{/\}\}\{\{/\}\}'
    )
    smart_value = r"\{\{(?P<name>[\w.]+?)(?P<json>\.asJsonString)?\}\}"
    # In one pass, so that the content of a field is never taken for a placeholder.
    return re.sub(f"{list_section}|{smart_value}", fill, text)


def _halo(text: str, ticket: Ticket) -> str:
    values: dict[str, str | int] = {
        "ticket^id": ticket.number,
        "ticket^summary": ticket.subject,
        "ticket^CFCustomerTenant": ticket.customer_tenant_id,
        "ticket^client^CFMicrosoftDomain": ticket.customer_domain,
        "ticket^CFOrderId": ticket.order_id,
        "ticket^CFSubscriptionId": ticket.subscription_id,
        "ticket^CFOrderLine": int(ticket.lines) if ticket.lines.isdigit() else ticket.lines,
    }
    return re.sub(r"<<([\w^]+)>>", lambda match: json.dumps(values[match[1]]), text)


def _servicenow(text: str, ticket: Ticket) -> str:
    record: dict[str, Any] = {
        "number": ticket.key,
        "short_description": ticket.subject,
        "u_customer_tenant": ticket.customer_tenant_id,
        "u_order_id": ticket.order_id,
        "u_order_lines": ticket.lines,
        "u_subscription_id": ticket.subscription_id,
        "u_cancel_order": {"order": "whole_order", "lines": "order_lines"}.get(ticket.choice, ticket.choice),
        "company": {"u_microsoft_domain": ticket.customer_domain},
    }
    if ticket.when == "term_end":
        record["u_cancel_order"] = "do_not_renew"
    return str(run_business_rule(text, record, {"status": 200, "body": "{}"})["body"])


def run_business_rule(script: str, record: Mapping[str, Any], answer: Mapping[str, Any]) -> Json:
    """Run a ServiceNow business rule on *record*. Return the `body` that it sent and the work `notes` that it wrote.

    `company` of *record*, if it is there, is the record of the company, which a script reads by its columns.
    *answer* has the `status` and `body` that the rule gets; the status None means a time-out.
    """
    servicenow_api = """
        var sent = { body: null, notes: null };
        var current = {
            getValue: function (name) {
                if (!(name in dukpy.record)) throw new Error('no such field: ' + name);
                return dukpy.record[name];
            },
            company: dukpy.record.company,
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
    sent: Json = dukpy.evaljs([servicenow_api, script, "sent"], record=dict(record), answer=dict(answer))
    return sent


def _freshworks(system: str, prefix: str, organisation: str) -> Template:
    """Return the template of *system*. The names of its custom fields begin with *prefix*."""
    fill = _liquid(
        lambda ticket: {
            "id": ticket.number,
            organisation: {"microsoft_domain": ticket.customer_domain},
            f"{prefix}customer_tenant": ticket.customer_tenant_id,
            f"{prefix}order_id": ticket.order_id,
            f"{prefix}order_line": ticket.lines,
            f"{prefix}subscription_id": ticket.subscription_id,
            f"{prefix}cancel_reason": ticket.reason,
        }
    )
    return Template(
        takes_lines=False,
        sends_subject=False,
        field_name=rf"\bticket\.{prefix}[a-z]+_[a-z]+\b",
        text=_from_file(system),
        domain_line=f'"customerDomain": "{{{{ticket.{organisation}.microsoft_domain}}}}",',
        fill=fill,
    )


SYSTEMS = {
    "zendesk": Template(
        takes_lines=True,
        sends_subject=False,
        field_name=r"\bticket\.ticket_field_\d+",
        text=_from_zendesk_trigger,
        domain_line='"customerDomain": "{{ticket.organization.custom_fields.microsoft_domain}}",',
        fill=_liquid(
            lambda ticket: {
                "id": ticket.number,
                "organization": {"custom_fields": {"microsoft_domain": ticket.customer_domain}},
                "ticket_field_1001": ticket.customer_tenant_id,
                "ticket_field_1002": ticket.order_id,
                "ticket_field_1003": ticket.lines,
                "ticket_field_1004": ticket.reason,
                "ticket_field_1006": ticket.subscription_id,
            }
        ),
    ),
    "jira": Template(
        takes_lines=True,
        sends_subject=True,
        field_name=r"\bcustomfield_\d+",
        text=_from_file("jira"),
        domain_line='"customerDomain": {{issue.customfield_10005.Domain.asJsonString}},',
        fill=_jira,
    ),
    "servicenow": Template(
        takes_lines=True,
        sends_subject=True,
        field_name=r"\bu_\w+",
        text=_servicenow_script,
        domain_line="",
        fill=_servicenow,
        not_renewing=lambda script: script,
    ),
    "freshservice": _freshworks("freshservice", "", "department"),
    "freshdesk": _freshworks("freshdesk", "cf_", "company"),
    "halo": Template(
        takes_lines=False,
        sends_subject=True,
        field_name=r"\bticket\^CF\w+",
        text=_from_file("halo"),
        domain_line='"customerDomain": <<ticket^client^CFMicrosoftDomain>>,',
        fill=_halo,
    ),
}
