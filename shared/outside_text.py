"""Cleans and cuts texts that come from outside: from callers, from Partner Center, and from gateways on the way.

No I/O. Every such text that gets into an answer of ours or into an audit record goes through `clean_text`, because
an error page may echo our own token, and a text may be as long as a body.
"""

import json
import re

MARK = "…"  # stands for what was left out

# Line breaks and tabs stay. The others say nothing, and NUL could stand between the letters of a token (UTF-16).
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BEARER = re.compile(r"\bbearer\s+\S+", re.IGNORECASE)
# Matches a run as a whole, so that no character is read twice: a text of "eyJeyJeyJ…" would stop the worker.
_RUN = re.compile(r"[\w-]+(?:\.[\w.-]*)?")
_JWT_HEADER = re.compile("eyj", re.IGNORECASE)


def clean_text(text: str, limit: int) -> str:
    """Return *text* without credentials, cut to *limit* characters. "…" marks what was left out.

    Half surrogate pairs, which JSON can carry and UTF-8 cannot, become "?".
    """
    whole = _CONTROL.sub("", text.encode("utf-8", "replace").decode())
    cleaned = _BEARER.sub(MARK, whole)
    if _JWT_HEADER.search(cleaned):  # to look at each run of every text would take 20 µs of a call
        cleaned = _RUN.sub(_without_jwt, cleaned)
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + MARK


def _without_jwt(run: re.Match[str]) -> str:
    """Return a run without the JWT in it. A JWT has dots; an order id, which may begin like one, has none."""
    text = run[0]
    header = _JWT_HEADER.search(text)
    return text[: header.start()] + MARK if header and "." in text[header.end() + 4 :] else text


def cut_to_json(text: str, limit_bytes: int) -> str:
    """Return *text*, cut and marked with "…" if its JSON in ASCII has more than *limit_bytes*.

    A character outside ASCII takes 6 or 12 bytes there.
    """
    if _json_bytes(text) <= limit_bytes:
        return text
    left = limit_bytes - _json_bytes(MARK)
    for index, character in enumerate(text):
        left -= _json_bytes(character)
        if left < 0:
            return text[:index] + MARK
    return text


def _json_bytes(text: str) -> int:
    return len(json.dumps(text)) - 2  # without its quotes
