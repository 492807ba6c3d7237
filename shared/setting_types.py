"""The types of the operator's settings: names, ids, addresses. No I/O."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from shared.ids import GUID

_HTTPS_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]*)*")


def _https_url(url: str) -> str:
    # The pattern is checked first: urlsplit drops line breaks and accepts invalid characters. Dot segments are refused
    # because paths are sent as they are.
    if not _HTTPS_URL.fullmatch(url) or urlsplit(url).port == 0:
        raise ValueError("must be an https URL without user, dot segments, query or fragment")
    return url.rstrip("/")


def _https_origin(url: str) -> str:
    url = _https_url(url)
    if "/" in url.removeprefix("https://"):
        raise ValueError("must be https://, a host name and, if needed, a port, without a path")
    return url


type Guid = Annotated[str, StringConstraints(pattern=GUID, to_lower=True)]
type HttpsUrl = Annotated[str, AfterValidator(_https_url)]
type HttpsOrigin = Annotated[str, AfterValidator(_https_origin)]
type Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
type SecretName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$")]


class Setting(BaseModel):
    """An object in a setting that is JSON. Unknown members are refused."""

    # Settings builds them whole; each by itself would be built once more (4 ms of a cold start).
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True, defer_build=True
    )
