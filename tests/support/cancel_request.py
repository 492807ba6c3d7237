"""A cancel request as a caller sends it, and the function's reading of it."""

import json
from typing import Any

import pytest

from shared.contract import CancelRequest
from shared.errors import InvalidRequest
from shared.http_request import parse_request

CUSTOMER = "bd59b416-37f9-4d8f-8df3-5750111fc615"
ORDER = "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1"
WHOLE: dict[str, Any] = {"customerTenantId": CUSTOMER, "orderId": ORDER}


def parse(body: object, **headers: str) -> CancelRequest:
    raw_body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_request(CancelRequest, raw_body, {name.replace("_", "-"): value for name, value in headers.items()})


def refused(body: object, **headers: str) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(body, **headers)
    return caught.value
