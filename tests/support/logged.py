"""What was logged, with everything that a record carries."""

import traceback

import pytest


def everything_logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return the records with all their members and tracebacks."""
    return "\n".join(
        f"{record.name} {record.getMessage()} {record.__dict__}"
        + ("".join(traceback.format_exception(*record.exc_info)) if record.exc_info else "")
        for record in caplog.records
    )
