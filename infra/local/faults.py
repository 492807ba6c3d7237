"""Faults: what is to go wrong with the next requests to a stand-in, as `POST /faults` takes it."""

import json
import re
import zlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

type Service = Literal["partner_center", "entra", "key_vault", "identity"]


class Fault(BaseModel):
    """One thing to go wrong, as `POST /faults` takes it.

    With *status* the change is not made and this is the answer. Without, the request is carried
    out and *headers* and *body* replace what was answered. *delay_s* comes first in any case.
    *hang_up* halfway drops the connection in the middle of the body. *body_bytes* answers with as
    many spaces, packed where *headers* say `Content-Encoding: gzip`. *slow_s* spreads the body.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

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

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, fault: Any) -> Any:  # noqa: ANN401  (JSON)
        """Clients that write out what they leave out send null; only a *body* can mean it."""
        if not isinstance(fault, dict):
            return fault
        given = {name: value for name, value in fault.items() if value is not None or name == "body"}
        if isinstance(headers := given.get("headers"), dict):
            numbers = {name: str(value) for name, value in headers.items() if type(value) in (int, float)}
            given["headers"] = headers | numbers
        return given

    @field_validator("path")
    @classmethod
    def _is_regex(cls, path: str) -> str:
        try:
            re.compile(path)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return path

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[\t -~\x80-\xff]*", value):
                raise ValueError("a header cannot be sent so")
        return headers

    def matches(self, service: str, method: str, path: str) -> bool:
        return (
            self.service == service
            and (self.method is None or self.method.upper() == method)
            and re.search(self.path, path) is not None
        )

    def payload(self) -> bytes | None:
        """Return the bytes to answer with, or None where none were asked for."""
        if self.body_bytes is not None:
            is_packed = any(
                value == "gzip" for name, value in self.headers.items() if name.lower() == "content-encoding"
            )
            return _packed_spaces(self.body_bytes) if is_packed else b" " * self.body_bytes
        if "body" not in self.model_fields_set:
            return None
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def _packed_spaces(count: int) -> bytes:
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    block = b" " * 1_000_000
    return (
        b"".join(packer.compress(block[: min(len(block), left)]) for left in range(count, 0, -len(block)))
        + packer.flush()
    )
