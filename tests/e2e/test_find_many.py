"""A customer with 2,000 orders and 3,000 subscriptions: told within the default deadline, in bounded memory."""

import time
from pathlib import Path

import pytest

from shared.finding.listing import MOST_LISTED
from tests.support.functions_host import FunctionProcess
from tests.support.lists import LONG_NAME, MANY_CUSTOMER, write_many
from tests.support.local_cloud import Json, LocalCloud, running

CALLS = 20
GROWTH_MIB = 20  # of the function's process in CALLS; one call reads 6 MB
PEAK_MIB = 150  # over the process before the first call
NEWEST, OLDEST = f"{LONG_NAME} 0000-0", f"{LONG_NAME} 1999-1"
CUSTOMER = {"customerTenantId": MANY_CUSTOMER}


def found(cloud: LocalCloud, **query: str) -> Json:
    response = cloud.find(CUSTOMER | query)
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


@pytest.mark.long
@pytest.mark.parametrize("latency_ms", [0, 50])
def test_very_many_orders_are_told_in_time(tmp_path: Path, latency_ms: int, report: list[str]) -> None:
    options = (*write_many(tmp_path), "--latency-ms", str(latency_ms))
    with running(tmp_path, *options, FUNCTIONS_HOST="") as cloud:
        process = FunctionProcess(tmp_path)
        before_mib = process.memory_mib
        first = found(cloud)
        warm_mib, times_s = process.memory_mib, []
        for _ in range(CALLS):
            started_at = time.monotonic()
            again = found(cloud)
            times_s.append(time.monotonic() - started_at)
            assert again == first
        grown_mib, peak_mib = process.memory_mib - warm_mib, process.peak_memory_mib - before_mib
        oldest, nothing = found(cloud, text=OLDEST), found(cloud, text="no such product")
        all_are_searched = found(cloud, text=LONG_NAME, cancellable="true")

    report.append(
        f"2,000 orders and 3,000 subscriptions, {latency_ms} ms for a page: found in {min(times_s):.2f} to"
        f" {max(times_s):.2f} s; memory {grown_mib:+.1f} MiB in {CALLS} calls, at most {peak_mib:.0f} MiB more"
    )
    assert (len(first["orders"]), first["more"]) == (MOST_LISTED, True)
    dates = [order["creationDate"] for order in first["orders"]]
    assert dates == sorted(dates, reverse=True)
    lines = [line for order in first["orders"] for line in order["lineItems"]]
    assert lines[0]["friendlyName"] == NEWEST
    assert {line["subscriptionStatus"] for line in lines} == {"active"}
    assert (len(oldest["orders"]), oldest["more"]) == (1, False)
    assert nothing == {"orders": [], "more": False}
    assert (len(all_are_searched["orders"]), all_are_searched["more"]) == (144, False)  # bought within 7 days
    assert grown_mib < GROWTH_MIB
    assert peak_mib < PEAK_MIB
