"""The examples that the page offers first: each fills in the form and turns a fault on, and the visitor sends it."""

from typing import Any

from infra.local.examples import OLD_LICENCE, SUBSCRIPTION, WHOLE_ORDER

type Scenario = dict[str, Any]

# `errand` is what `POST /send` takes beside `system`; `fault` is the name of a switch of the page, or null.
SCENARIOS: tuple[Scenario, ...] = (
    {
        "title": "Cancel a licence",
        "text": "A Jira ticket names a subscription that is in its first seven days.",
        "system": "jira",
        "errand": {"subscriptionId": SUBSCRIPTION["subscriptionId"], "customer": SUBSCRIPTION["customerTenantId"]},
        "fault": None,
    },
    {
        "title": "Be refused",
        "text": "A licence that is 20 days old is too old. The answer says what to do instead.",
        "system": "freshservice",
        "errand": {"subscriptionId": OLD_LICENCE["subscriptionId"], "customer": OLD_LICENCE["customerTenantId"]},
        "fault": None,
    },
    {
        "title": "Survive a lost answer",
        "text": "Partner Center cancels the order, and its answer gets lost on the way.",
        "system": "zendesk",
        "errand": {"orderId": WHOLE_ORDER["orderId"], "customer": WHOLE_ORDER["customerTenantId"]},
        "fault": "lost",
    },
    {
        "title": "Tell the ticket",
        "text": "Zendesk asks not to renew the old licence. The ticket gets a note with the result.",
        "system": "zendesk",
        "errand": {
            "subscriptionId": OLD_LICENCE["subscriptionId"],
            "customer": OLD_LICENCE["customerTenantId"],
            "when": "term_end",
        },
        "fault": None,
    },
)
