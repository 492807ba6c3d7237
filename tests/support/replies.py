"""Answers of Partner Center, for tests of decisions."""

import json

from shared.replies.reply import Reply


def reply(status: int, code: object = None, retry_after_s: float | None = None) -> Reply:
    body = b"" if code is None else json.dumps({"code": code, "description": "text", "data": []}).encode()
    return Reply(status, body, retry_after_s)
