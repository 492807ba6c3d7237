"""Faults: descriptions of what goes wrong with the next requests to a stand-in, as `POST /faults` takes them.

`infra.local.traffic` applies them.
"""

import contextlib
import json
import re
import zlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from infra.local.partner_center.members import check_json, member

type Service = Literal["partner_center", "entra", "key_vault", "identity", "queue", "ticketing"]


class Fault(BaseModel):
    """One fault.

    Attributes:
        service: the stand-in.
        method: only requests with it match; None means any.
        path: a regular expression, searched in path and query.
        times: how many matching requests meet the fault.
        status: with it the request is not carried out, and this is the answer's status. Without it the request is
            carried out, and *headers* and *body* replace those of the answer.
        headers: of the answer.
        body: a string is sent as it is, in UTF-8; any other value is sent as JSON.
        delay_s: wait first, whatever else the fault does.
        hang_up: drop the connection before or after the request is carried out, or halfway through the body.
        body_bytes: answer with so many spaces, compressed if *headers* have `Content-Encoding: gzip`.
        slow_s: send the body over this time.
        put_subscription: a whole subscription. Somebody else changes the one with its id to this, after the answer to
            the request is made and before it leaves; also if the request is not carried out.
        kill_after_s: kill the function's process so many seconds after the arrival of the request. It starts again.
        name: a label; `DELETE /faults?name=` removes the faults that have it.
        behind: if the request is a PATCH of a subscription, the next so many reads of it show the state before. Its
            add-ons, and the subscriptions that the cancellation of an order ends, show their change at once.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    service: Service
    method: str | None = None
    path: str = ""
    times: int = Field(1, ge=1)
    status: int | None = Field(None, ge=200, le=599)
    headers: dict[str, str] = {}
    body: Any = None
    delay_s: float = Field(0.0, ge=0)
    hang_up: Literal["before", "after", "halfway"] | None = None
    body_bytes: int | None = Field(None, ge=0, le=1_000_000_000)
    slow_s: float = Field(0.0, ge=0)
    put_subscription: dict[str, Any] | None = None
    behind: int = Field(0, ge=0)
    kill_after_s: float | None = Field(None, ge=0, le=60)
    name: str | None = Field(None, max_length=100)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, fault: Any) -> Any:  # noqa: ANN401  (JSON)
        """Treat null like an absent member, as some clients send it; only *body* can really be null.

        Such clients send headers as numbers, too.
        """
        if not isinstance(fault, dict):
            return fault
        given = {name: value for name, value in fault.items() if value is not None or name == "body"}
        if isinstance(headers := given.get("headers"), dict):
            numbers = {name: str(value) for name, value in headers.items() if type(value) in (int, float)}
            given["headers"] = headers | numbers
        return given

    @field_validator("path")
    @classmethod
    def _check_regex(cls, path: str) -> str:
        try:
            re.compile(path)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return path

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[\t -~\x80-\xff]*", value):
                raise ValueError("a header has characters that cannot be sent")
        return headers

    @field_validator("body")
    @classmethod
    def _check_body(cls, body: Any) -> Any:  # noqa: ANN401  (JSON)
        with contextlib.suppress(RecursionError):
            json.dumps(body, allow_nan=False)  # raises ValueError: the list of faults could not be sent
        return body

    @field_validator("put_subscription")
    @classmethod
    def _check_subscription(cls, subscription: dict[str, Any] | None) -> dict[str, Any] | None:
        if subscription is not None and not isinstance(member(subscription, "id"), str):
            raise ValueError("a whole subscription with its id is needed")
        check_json(subscription)
        return subscription

    def matches(self, service: str, method: str, path: str) -> bool:
        return (
            self.service == service
            and (self.method is None or self.method.upper() == method)
            and re.search(self.path, path) is not None
        )

    def payload(self) -> bytes | None:
        """Return the bytes of the answer's body, or None if the fault does not give one."""
        if self.body_bytes is not None:
            is_compressed = any(
                value == "gzip" for name, value in self.headers.items() if name.lower() == "content-encoding"
            )
            return _compressed_spaces(self.body_bytes) if is_compressed else b" " * self.body_bytes
        if "body" not in self.model_fields_set:
            return None
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def _compressed_spaces(count: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    block = b" " * 1_000_000
    return (
        b"".join(compressor.compress(block[: min(len(block), left)]) for left in range(count, 0, -len(block)))
        + compressor.flush()
    )
