"""The bytes of the PATCH: a subscription is sent back as it was read, whatever is in it, with another status."""

from uuid import uuid4

import pytest

from shared.call import Call, Target
from shared.cancelling.accepted import AcceptedPatches
from shared.cancelling.cancel import cancel
from shared.connections.pool import Connections
from shared.contract import CancelRequest
from shared.errors import CancelError
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.throttle import Gate
from tests.support.built_in_orders import LICENCE_CUSTOMER, subscription_of
from tests.support.peer import Peer

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
START = f'"id": "{LICENCE}", "productType": {{"id": "OnlineServicesNCE"}}'


class OneToken:
    """Has the token that a worker would have got from Entra ID."""

    async def bearer(self, _account: str, _remaining_s: float) -> str:
        return "token"


async def cancelled(peer: Peer, connections: Connections, text: bytes) -> tuple[str, list[bytes]]:
    """Cancel a subscription that is read as *text*; return the outcome or the code, and the bodies that arrived."""

    def answer(head: str) -> bytes:
        body = f'{{"id": "{LICENCE}", "status": "deleted"}}'.encode() if head.startswith("PATCH") else text
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    peer.answer = answer
    request = CancelRequest.model_validate({"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE})
    target = Target("default", str(uuid4()), peer.url, request, dry_run=False, may_cancel_subscriptions=True)
    call = Call(correlation_id=str(uuid4()), headers={}, target=target, allowed_s=30)
    client = PartnerCenterClient(target, call, connections=connections, tokens=OneToken(), gate=Gate())  # type: ignore[arg-type]  # a token source of one method
    try:
        result: str = (await cancel(target, call, client, AcceptedPatches())).outcome
    except CancelError as error:
        result = error.code
    return result, [body for body in peer.bodies if body]


# At @ is the value of the outermost status, as it was read; then as it is sent.
BODIES = {
    "odd-blanks": (f'{{{START} ,\n\t"quantity":5,"status" :  @  ,"autoRenewEnabled":true}}\n', '"active"'),
    "odd-case": (f'{{{START}, "STATUS": @, "AutoRenewEnabled": true, "quAntity": 5}}', '"Active"'),
    "pascal-case": (f'{{"Id": "{LICENCE}", "ProductType": {{"Id": "OnlineServicesNCE"}}, "Status": @}}', '"active"'),
    "numbers": (
        f'{{{START}, "status": @, "a": 12345678901234567890123, "b": 1E400, "c": 1.10, "d": -0.0}}',
        '"active"',
    ),
    "unknown": (f'{{"zz": [{{"status": "active"}}], {START}, "status": @, "": null, "1": {{}}}}', '"active"'),
    "escapes": (f'{{{START}, "status": @, "name": "\\u00fc\\/\\ud83d\\ude00 ü 😀"}}', '"\\u0061ctive"'),
    "in-a-text": (f'{{"friendlyName": "\\"status\\": \\"active\\"", {START}, "status": @}}', '"active"'),
    "end-of-term": (f'{{{START}, "status": @, "scheduledActions": [{{"scheduledType": "TermEnd"}}]}}', '"active"'),
}


@pytest.mark.parametrize("name", BODIES)
async def test_only_the_status_changes(connections: Connections, peer: Peer, name: str) -> None:
    template, status = BODIES[name]

    result, bodies = await cancelled(peer, connections, template.replace("@", status).encode())

    assert result == "cancelled"
    assert bodies == [template.replace("@", '"deleted"').encode()]


async def test_a_byte_order_mark_is_not_sent_back(connections: Connections, peer: Peer) -> None:
    text = f'{{{START}, "status": "active"}}'

    _, bodies = await cancelled(peer, connections, b"\xef\xbb\xbf" + text.encode())

    assert bodies == [text.replace("active", "deleted").encode()]


UNREADABLE = {
    "two-statuses": f'{{{START}, "status": "active", "Status": "suspended"}}',
    "cut": f'{{{START}, "status": "active"',
    "two-values": f'{{{START}, "status": "active"}} {{}}',
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_subscription_that_cannot_be_sent_back_as_it_is_is_not_sent(
    connections: Connections, peer: Peer, name: str
) -> None:
    result, bodies = await cancelled(peer, connections, UNREADABLE[name].encode())

    assert result == "unexpected_answer"
    assert bodies == []
