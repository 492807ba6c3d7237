"""Time: a PATCH of a subscription leaves soon after its reading, and never with less than 2 s left."""

import time
from uuid import uuid4

import pytest

from shared.call import Call, Target
from shared.cancelling.accepted import AcceptedPatches
from shared.cancelling.subscription import READING_VALID_S, SubscriptionCancellation
from shared.connections.pool import Connections
from shared.contract import CancelRequest, Outcome
from shared.credentials.tokens import Credentials
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.subscriptions import Subscription, read_subscription
from shared.partner_center.throttle import Gate
from shared.settings import Settings
from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
BY_SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE}
BY_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence")}


@pytest.mark.parametrize("body", [BY_SUBSCRIPTION, BY_ORDER], ids=["by-subscription", "by-order"])
async def test_with_little_time_left_no_patch_begins(app: App, cloud: LocalCloud, body: Json) -> None:
    """Its answer would come too late, and leave the outcome unknown."""
    await app.post(body | {"dryRun": True})  # fetches the token
    cloud.forget()

    answer = await app.post(body, prefer="wait=1")

    assert answer.code == "partner_center_unavailable"
    assert "longer wait" in answer.body["detail"]
    assert set(cloud.methods()) == {"GET"}
    [line] = answer.body["order"]["lineItems"]
    assert (line["code"], line["cancelled"], line["cancellable"]) == ("partner_center_unavailable", False, None)


class Attempt:
    """The cancellation of LICENCE, from a reading that the test makes."""

    def __init__(self, settings: Settings, credentials: Credentials, cloud: LocalCloud) -> None:
        self.connections = Connections()
        self.gate = Gate()
        self._settings = settings
        self._credentials = credentials
        self._cloud = cloud

    def reading(self, age_s: float) -> Subscription:
        """Return the subscription as it is, read *age_s* seconds ago."""
        text = self._cloud.http.get(f"{self._cloud.description['controlUrl']}/subscriptions/{LICENCE}").content
        reading = read_subscription(text, LICENCE, time.monotonic() - age_s)
        assert reading
        return reading

    async def run(self, reading: Subscription) -> object:
        """Return how the cancellation ended."""
        await self._credentials.bearer("default", 30)
        self._cloud.forget()
        account = self._settings.accounts["default"]
        request = CancelRequest.model_validate(BY_SUBSCRIPTION)
        target = Target("default", account.tenant_id, account.endpoints.api_root, request, dry_run=False)
        call = Call(correlation_id=str(uuid4()), headers={}, target=target, allowed_s=30)
        client = PartnerCenterClient(
            target, call, connections=self.connections, tokens=self._credentials, gate=self.gate
        )
        cancellation = SubscriptionCancellation(
            target, call, client, AcceptedPatches(), reading=reading, check=lambda _: None
        )
        end = (await cancellation.run()).end
        await self.connections.aclose()
        return end


@pytest.fixture
def attempt(settings: Settings, credentials: Credentials, cloud: LocalCloud) -> Attempt:
    return Attempt(settings, credentials, cloud)


async def test_a_new_reading_is_enough(attempt: Attempt, cloud: LocalCloud) -> None:
    end = await attempt.run(attempt.reading(age_s=0))

    assert end is Outcome.CANCELLED
    assert cloud.methods() == ["PATCH"]


async def test_an_old_reading_is_made_anew(attempt: Attempt, cloud: LocalCloud) -> None:
    """A line of many may have waited for the others, or a call for its token."""
    end = await attempt.run(attempt.reading(age_s=READING_VALID_S))

    assert end is Outcome.CANCELLED
    assert cloud.methods() == ["GET", "PATCH"]


async def test_a_reading_that_grows_old_behind_the_gate_is_made_anew(attempt: Attempt, cloud: LocalCloud) -> None:
    """The connection is open and the headers have left; the body, with which the PATCH begins, has not."""
    reading = attempt.reading(age_s=READING_VALID_S - 0.2)
    attempt.gate.__dict__.update(_is_closed=True, _opens_at=reading.read_at + READING_VALID_S + 0.1)

    end = await attempt.run(reading)

    assert end is Outcome.CANCELLED
    assert cloud.methods() == ["GET", "PATCH"]


async def test_a_throttle_that_outlasts_the_deadline_is_passed_on_at_once(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", status=429, headers={"Retry-After": "57"})

    answer = await app.post(BY_SUBSCRIPTION)

    assert (answer.status, answer.code, answer.retry_after) == (429, "throttled", "57")
    assert cloud.methods() == ["GET", "PATCH"]
    assert cloud.subscription(LICENCE)["status"] == "active"
