"""The steps of a call, and the faults that can hit them."""

from enum import StrEnum
from typing import NamedTuple

from tests.support.local_cloud import Json

BOM = "\ufeff"
HUGE_BYTES = 100_000_000
ELSEWHERE = "/elsewhere"  # where the redirect leads, at Partner Center


class Step(StrEnum):
    """The requests of a call, in the order of a cold start; the values name them in the document."""

    IDENTITY = "managed identity"
    KEY_VAULT = "Key Vault"
    DISCOVERY = "Entra ID, discovery"
    TOKEN = "Entra ID, token"
    PATCH = "PATCH"
    PATCH_OF_CANCELLED = "PATCH of a cancelled order"
    GET_BEFORE_LINES = "GET before lines"
    GET_AFTER_REFUSAL = "GET after a refusal"
    GET_AFTER_LOST_PATCH = "GET after a lost PATCH"
    GET_AFTER_UNREADABLE = "GET after an unreadable answer"
    GET_SUBSCRIPTION = "GET of a subscription"
    LIST_SUBSCRIPTIONS = "list of an order's subscriptions"
    PATCH_SUBSCRIPTION = "PATCH of a subscription"
    LOOK_AFTER_UNREADABLE = "GET of a subscription after an unreadable answer"
    LOOK_AFTER_REFUSAL = "GET of a subscription after a refusal"
    PATCH_TERM_END = "PATCH for the end of the term"
    LOOK_AT_TERM_END = "GET after the PATCH for the end of the term"


CREDENTIAL_STEPS = frozenset({Step.IDENTITY, Step.KEY_VAULT, Step.DISCOVERY, Step.TOKEN})
TERM_END_STEPS = frozenset({Step.PATCH_TERM_END, Step.LOOK_AT_TERM_END})  # of requests with `when: term_end`
# The subscription is looked at after a PATCH; it was read before it, too.
LOOKS_AT_SUBSCRIPTION = frozenset({Step.LOOK_AFTER_UNREADABLE, Step.LOOK_AFTER_REFUSAL, Step.LOOK_AT_TERM_END})
SUBSCRIPTION_STEPS = (LOOKS_AT_SUBSCRIPTION | TERM_END_STEPS) | {
    Step.GET_SUBSCRIPTION,
    Step.LIST_SUBSCRIPTIONS,
    Step.PATCH_SUBSCRIPTION,
}


class Fault(NamedTuple):
    """A fault of one request: its effect, as the document describes it, and the body of `POST /faults`."""

    effect: str
    control: Json


class LastingFault(NamedTuple):
    """A fault of each request of an account, until the operator corrects the account's settings."""

    effect: str
    account: str  # for Partner Center; with "entra-" before it for Entra ID


LASTING_FAULTS = {
    "refused connection": LastingFault("Nothing listens at the service's address.", "unreachable"),
    "unknown host": LastingFault("DNS does not know the service's name.", "no-name"),
    "false certificate": LastingFault("The service's TLS certificate is from an unknown authority.", "impostor"),
}

# With a status, the stand-in answers that and does nothing. Without one, it carries out the request first.
FAULTS = {
    "hang-up (not done)": Fault("The service does nothing and closes the connection.", {"hang_up": "before"}),
    "hang-up (done)": Fault(
        "The service does what was asked and closes the connection without an answer.", {"hang_up": "after"}
    ),
    "half a body": Fault(
        "The service does what was asked; the connection breaks in the middle of the answer.", {"hang_up": "halfway"}
    ),
    "timeout": Fault("The service answers after 30 s. The caller set a deadline of 2 s (1).", {"delay_s": 30}),
    "slow body": Fault(
        "The service does what was asked; the answer's body takes 6 s. The caller set a deadline of 2 s (1).",
        {"slow_s": 6},
    ),
    "401": Fault("The service answers 401 and does nothing.", {"status": 401}),
    "403": Fault("The service answers 403 and does nothing.", {"status": 403}),
    "408": Fault("The service answers 408 and does nothing.", {"status": 408}),
    "409": Fault("The service answers 409 without a code and does nothing.", {"status": 409}),
    "409 in progress": Fault(
        "The service answers 409 with Partner Center's code 800060: it still works on the order.",
        {"status": 409, "body": {"code": "800060", "description": "The order is in progress."}},
    ),
    "429 for 1 s": Fault(
        "The service answers 429 with `Retry-After: 1` and does nothing.",
        {"status": 429, "headers": {"retry-after": "1"}},
    ),
    "429": Fault("The service answers 429 without `Retry-After` and does nothing.", {"status": 429}),
    "500": Fault("The service answers 500 and does nothing.", {"status": 500}),
    "502 HTML": Fault(
        "A gateway answers 502 with an HTML page; the service does nothing.",
        {"status": 502, "headers": {"content-type": "text/html"}, "body": "<html>Bad Gateway</html>"},
    ),
    "503": Fault("The service answers 503 and does nothing.", {"status": 503}),
    "byte order mark": Fault("The body of the usual answer begins with a byte order mark.", {"body": BOM}),
    "garbage (not done)": Fault(
        "The service does nothing and answers 200 with a body that is not JSON.", {"status": 200, "body": "garbage"}
    ),
    "garbage (done)": Fault(
        "The service does what was asked; the answer's body is not JSON.",
        {"body": "garbage"},
    ),
    "redirect": Fault("The service answers 307, which leads to another address, and does nothing.", {"status": 307}),
    "100 MB": Fault(
        "The service does what was asked; the answer's body has 100 MB (10 MB for a token or a secret).",
        {"body_bytes": HUGE_BYTES},
    ),
    "gzip bomb": Fault(
        "The service does what was asked; the answer's body unpacks to 100 MB (10 MB for a token or a secret).",
        {"body_bytes": HUGE_BYTES, "headers": {"content-encoding": "gzip"}},
    ),
}
# These hit requests for subscriptions only.
FAULTS_OF_SUBSCRIPTIONS = {
    "412": Fault(
        "Partner Center answers 412 and does nothing: somebody else changed the subscription.", {"status": 412}
    ),
    "400 stale ETag": Fault(
        "Partner Center refuses with its code 2055, since somebody else changed the subscription.",
        {"status": 400, "body": {"code": "2055", "description": "The ETag is stale."}},
    ),
    "400 too late": Fault(
        "Partner Center refuses with its code 900117: the time to cancel has passed.",
        {"status": 400, "body": {"code": "900117", "description": "The cancellation window has passed."}},
    ),
    "400 as done": Fault(
        "Partner Center refuses with its code 2011, as if the subscription were deleted, and it is not.",
        {"status": 400, "body": {"code": "2011", "description": "A deleted subscription cannot be updated."}},
    ),
    "404": Fault(
        "Partner Center answers with its code 20003: it knows no such subscription.",
        {"status": 404, "body": {"code": "20003", "description": "The subscription was not found."}},
    ),
    "202 (not done)": Fault("Partner Center answers 202 without a body and does nothing.", {"status": 202, "body": ""}),
    "empty body (done)": Fault("Partner Center does what was asked; the answer has no body.", {"body": ""}),
    "another's (not done)": Fault(
        "Partner Center does nothing and answers with another subscription, which is deleted.",
        {"status": 200, "body": {"id": "0b1d8f5e-0000-4000-8000-000000000000", "status": "deleted"}},
    ),
    "another's (done)": Fault(
        "Partner Center does what was asked, and answers with another subscription.",
        {"body": {"id": "0b1d8f5e-0000-4000-8000-000000000000", "status": "active"}},
    ),
}
ALL_FAULTS = FAULTS | FAULTS_OF_SUBSCRIPTIONS

RUNS_INTO_THE_DEADLINE = frozenset({"timeout", "slow body"})
HUGE = frozenset({"100 MB", "gzip bomb"})
CLOSES_THE_GATE = frozenset({"429 for 1 s", "429"})
