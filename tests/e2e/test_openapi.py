"""The live function does what infra/openapi.json says, as schemathesis finds out: `--soak` asks 5,000 times."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra import openapi, openapi_words
from tests.conftest import CUSTOMER
from tests.support.local_cloud import LocalCloud

CASES, SOAK_CASES = 300, 5_000
LIMIT_S = 900
CONFIG = """
[[operations]]
include-operation-id = "checkHealth"
# The local cloud has accounts whose credential does not work, which GET answers with 503.
checks.not_a_server_error.enabled = false
"""
NOT_CHECKED = (
    "unsupported_method",  # Azure's host answers 404, since the method is part of the route, where 405 is wanted
    "positive_data_acceptance",  # a request can be well formed and still be refused: 422, or a number that stands twice
)


def test_the_live_function_is_as_described(
    cloud: LocalCloud, order_id: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    is_long = pytestconfig.getoption("--soak")
    document, config, report = (tmp_path / name for name in ("openapi.json", "schemathesis.toml", "report.json"))
    # Most cases are an example with one thing changed, so the examples name what this test can cancel. Else
    # something that does not exist would be refused in the place of what was changed.
    text = openapi.FILE.read_text()
    example, [line] = openapi_words.REQUEST_EXAMPLES["oneLine"], cloud.order(order_id)["lineItems"][:1]
    for shown, real in (
        (example["orderId"], order_id),
        (example["customerTenantId"], CUSTOMER),
        (example["lineItems"][0]["offerId"], line["offerId"]),
    ):
        text = text.replace(shown, real)
    document.write_text(text)
    config.write_text(CONFIG)
    url, key = cloud.description["functionUrl"], cloud.description["functionKey"]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", str(document)),
        *("--url", url.removesuffix(openapi.PATH), "--header", f"x-functions-key: {key}"),
        *("--exclude-checks", ",".join(NOT_CHECKED)),
        # A call without the key is answered by Azure's host, with the empty body that OpenAPI cannot
        # describe beside ours; the check ignored_auth makes such calls all the same.
        *("--generation-with-security-parameters", "false"),
        *("--generation-deterministic", "--max-examples", str(SOAK_CASES if is_long else CASES - 100)),
        *("--no-color", "--report", "json", "--report-json-path", str(report)),
    ]
    already_logged = len(cloud.log.read_text())

    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    run = subprocess.run(  # noqa: S603
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )

    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(report.read_text())
    assert found["operations"]["tested"] == found["operations"]["total"] == 2
    assert found["test_cases"]["generated"] >= (SOAK_CASES if is_long else CASES)
    statuses = set(re.findall(r'"status": (\d+)', cloud.log.read_text()[already_logged:]))
    assert statuses >= {"200", "400", "415", "422"}  # else what is sent has become too much alike
