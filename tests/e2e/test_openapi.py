"""The live function answers as infra/openapi.json says. schemathesis makes 100 calls, with `--soak` 5,000."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import openapi, openapi_texts
from tests.conftest import CUSTOMER
from tests.support.functions_host import audit_records
from tests.support.local_cloud import Json, LocalCloud, domain_of
from tests.support.waiting import wait_until

CASES, SOAK_CASES = 100, 5_000
LIMIT_S = 900
CONFIG = """
[[operations]]
include-operation-id = "checkHealth"
# The local cloud has accounts whose credential does not work; then GET answers 503.
checks.not_a_server_error.enabled = false
"""
NOT_CHECKED = (
    "unsupported_method",  # expects 405, but Azure's host answers 404: the method is part of its route
    "positive_data_acceptance",  # the function may refuse a valid request, such as one with a line number twice
)


def document_for(cloud: LocalCloud, order_id: str) -> str:
    """Return the document with an order of the local cloud in its examples.

    Most cases are an example with one change. With the order of the file, which the local cloud does not have, the
    function would refuse the order before it reaches the change.
    """
    text = openapi.FILE.read_text()
    example, line = openapi_texts.REQUEST_EXAMPLES["oneLine"], cloud.order(order_id)["lineItems"][0]
    by_domain = openapi_texts.REQUEST_EXAMPLES["byDomain"]
    for in_example, in_cloud in (
        (by_domain["customerDomain"], domain_of(cloud, CUSTOMER)),
        (example["orderId"], order_id),
        (example["customerTenantId"], CUSTOMER),
        (example["lineItems"][0]["offerId"], line["offerId"]),
    ):
        text = text.replace(in_example, in_cloud)
    return text


def run_schemathesis(cloud: LocalCloud, document: str, directory: Path, max_examples: int) -> Json:
    """Call the function with cases from *document*, and return the report."""
    file, config, report = (directory / name for name in ("openapi.json", "schemathesis.toml", "report.json"))
    file.write_text(document)
    config.write_text(CONFIG)
    url, key = cloud.description["functionUrl"], cloud.description["functionKey"]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", str(file)),
        *("--url", url.removesuffix(openapi.PATH), "--header", f"x-functions-key: {key}"),
        *("--exclude-checks", ",".join(NOT_CHECKED)),
        # Azure's host answers a call without the key with an empty body, which OpenAPI cannot describe beside the
        # function's own body. The check ignored_auth still makes such calls.
        *("--generation-with-security-parameters", "false"),
        *("--generation-deterministic", "--max-examples", str(max_examples)),
        *("--no-color", "--report", "json", "--report-json-path", str(report)),
    ]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(  # noqa: S603
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: Json = json.loads(report.read_text())
    return found


def test_the_live_function_answers_as_described(
    cloud: LocalCloud, order_id: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    cases, max_examples = (SOAK_CASES, SOAK_CASES) if pytestconfig.getoption("--soak") else (CASES, CASES // 2)
    log_length = len(cloud.log.read_text())

    report = run_schemathesis(cloud, document_for(cloud, order_id), tmp_path, max_examples)

    assert report["operations"]["tested"] == report["operations"]["total"] == 3
    assert report["test_cases"]["generated"] >= cases
    wait_until(
        lambda: (
            {200, 400, 415, 422}
            <= {record.get("status") for record in audit_records(cloud.log.read_text()[log_length:])}
        ),
        "the calls have become too similar",
    )
