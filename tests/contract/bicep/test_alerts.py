"""The alerts that would be deployed, their mails, and the availability test."""

import json
import re
from pathlib import Path

from tests.support.bicep import ROOT
from tests.support.compiled_bicep import MOST, of_type, one
from tests.support.kql import ALERTS
from tests.support.local_cloud import Json


def headings(page: Path) -> set[str]:
    return set(re.findall(r"^#+ ([a-z-]+)$", page.read_text(), re.MULTILINE))


def test_an_alerts_mail_links_to_its_section(least: list[Json], most: list[Json]) -> None:
    """The mail shows the description. Mail programs make a link of an address, and of a full stop after it."""
    pattern = re.compile(r".+\. More: (https://[^ ]+)#([a-z-]+)")
    links = {}
    for place, predicted in (("default", least), ("own", most)):
        rules = of_type(predicted, "Microsoft.Insights/scheduledQueryRules")
        links[place] = [pattern.fullmatch(rule["properties"]["description"]) for rule in rules]

    assert [link and link[2] for link in links["default"]] == [link and link[2] for link in links["own"]]
    assert sorted(link[2] for link in links["own"] if link) == ALERTS
    assert {link[1] for link in links["own"] if link} == {"https://example.com/operate"}
    [default] = {link[1] for link in links["default"] if link}
    assert re.fullmatch(r"https://github\.com/OWNER/REPO/blob/main/docs/operate\.md", default)
    assert set(ALERTS) <= headings(ROOT / "docs/operate.md")


def test_the_mail_about_availability_links_to_the_same_page(most: list[Json], availability: list[Json]) -> None:
    """The file is deployed after the code, without azd's settings, so the action group keeps the page's address."""
    description = one(availability, "Microsoft.Insights/metricAlerts")["properties"]["description"]

    assert one(most, "Microsoft.Insights/actionGroups")["tags"]["operatePage"] == MOST["operatePage"]
    assert re.search(r"format\('\{0\} More: \{1\}#unavailable', ", description)
    assert re.search(r"actionGroups/ag', '[\d-]+', 'full'\)\.tags, 'operatePage'\), 'docs/operate\.md'\)", description)
    assert "unavailable" in headings(ROOT / "docs/operate.md")


def test_the_availability_test_calls_the_health_check(availability: list[Json]) -> None:
    test = one(availability, "Microsoft.Insights/webtests")["properties"]
    binding = json.loads((ROOT / "cancel_order/function.json").read_text())["bindings"][0]
    prefix = json.loads((ROOT / "host.json").read_text())["extensions"]["http"]["routePrefix"]

    assert f"'https://{{0}}/{prefix}/{binding['route']}'" in test["Request"]["RequestUrl"]
    assert test["Request"]["HttpVerb"].lower() in binding["methods"]
    assert test["Request"]["FollowRedirects"] is False, "it would send the key to another address"
    assert test["Frequency"] == 300
    assert (test["ValidationRules"]["ExpectedHttpStatusCode"], test["ValidationRules"]["SSLCheck"]) == (200, True)
