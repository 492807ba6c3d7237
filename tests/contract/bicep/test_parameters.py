"""What the compiler says of the files, and of parameters as azd passes them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bicep import INFRA
from tests.support.compiled_bicep import ACCOUNT, AVAILABILITY, CALLERS, GUID, LEAST, MAIN, Compiler, Refused
from tests.support.local_cloud import Json


@pytest.mark.parametrize("path", [MAIN, AVAILABILITY], ids=lambda path: path.stem)
def test_the_linter_has_nothing_to_say(bicep: Compiler, path: Path) -> None:
    """Its exit status is 0 after warnings, so the output decides."""
    assert bicep.lint(path) == ""


AZD_TYPES = {"string", "securestring", "bool", "int", "object", "secureobject", "array"}


def asked_for(template: Json) -> Iterator[str]:
    """Yield the parameters that azd asks for if the environment does not set them.

    `compileBicep` puts a type's definition in the place of a `$ref` and forgets `nullable`. `ensureParameters` then
    asks for every parameter that has no default and is not nullable. `ParameterTypeFromArmType` ends azd at a type that
    it does not know. Source: Azure/azure-dev at ae35809, cli/azd/pkg/infra/provisioning/bicep/bicep_provider.go.
    """
    for name, parameter in template["parameters"].items():
        assert defined(template, parameter)["type"].lower() in AZD_TYPES, name
        if parameter.get("defaultValue") is None and not (parameter.get("nullable") and "$ref" not in parameter):
            yield name


def defined(template: Json, parameter: Json) -> Json:
    """Return *parameter*, or the type that it refers to."""
    reference = parameter.get("$ref")
    definition: Json = template["definitions"][reference.rpartition("/")[2]] if reference else parameter
    return definition


def test_azd_asks_for_nothing_but_what_must_be_given(template: Json) -> None:
    """`azd up --no-prompt` fails if it would have to ask."""
    assert set(asked_for(template)) == {"environmentName", "location", "accounts"}


def test_azd_sets_every_parameter_and_no_other(template: Json) -> None:
    file = json.loads((INFRA / "main.parameters.json").read_text())

    assert file["parameters"].keys() == template["parameters"].keys()


def test_azd_passes_a_switch_on_as_it_is(template: Json) -> None:
    """azd turns what it cannot read as a boolean into the default: "yes" would leave the network open."""
    types = {name: defined(template, parameter) for name, parameter in template["parameters"].items()}

    assert [name for name, kind in types.items() if kind["type"] == "bool"] == []
    assert {name for name, kind in types.items() if sorted(kind.get("allowedValues", [])) == ["false", "true"]} == {
        *("privateNetwork", "recoverVault", "refreshTokensStored")
    }


def test_azd_reads_a_list_or_an_object_from_json(template: Json) -> None:
    """azd does so for these types only, and refuses a blank value then: blank never comes to mean "open"."""
    kinds = {name: defined(template, parameter)["type"] for name, parameter in template["parameters"].items()}

    assert {name for name, kind in kinds.items() if kind in {"array", "object"}} == {
        *("accounts", "callers", "entra"),
        *("allowedIpRanges", "vaultIpRanges"),
    }


ACCOUNT_WITH_MODES = {"accounts": {"default": ACCOUNT | {"modes": "live"}}}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt member of an account": (ACCOUNT_WITH_MODES, r"'accounts\.default'.*unknown properties.*\['modes'\]"),
    "a misspelt member of a caller": (
        {"callers": {"operator": CALLERS["operator"] | {"dryrunonlly": True}}},
        r"'callers\.operator'.*unknown properties.*\['dryrunonlly'\]",
    ),
    "a misspelt member of tell": (
        {"callers": {"zendesk": CALLERS["zendesk"] | {"tell": CALLERS["zendesk"]["tell"] | {"userId": "1"}}}},
        r"'callers\.zendesk\.tell'.*unknown properties.*\['userId'\]",
    ),
    "a member of another system's tell": (
        {"callers": {"zendesk": CALLERS["zendesk"] | {"tell": CALLERS["flow"]["tell"] | {"system": "freshdesk"}}}},
        r"'callers\.zendesk\.tell'.*unknown properties.*\['user'\]",
    ),
    "an unknown system": (
        {"callers": {"zendesk": CALLERS["zendesk"] | {"tell": {"system": "email", "secret": "told"}}}},
        r"'callers\.zendesk\.tell'.*discriminator property 'system'",
    ),
    "a misspelt member of the Entra app": (
        {"entra": {"clientId": GUID, "audience": ["api://x"]}},
        r"'entra'.*unknown properties.*\['audience'\]",
    ),
    "a placeholder for an id": (
        {"accounts": {"default": ACCOUNT | {"tenantId": "TENANT-ID"}}},
        r"'accounts\.default\.tenantId'.*Length",
    ),
    "an object for a name": (
        {"callers": {"zendesk": {"proof": "zendesk", "secrets": [{"name": "zendesk"}]}}},
        r"'callers\.zendesk\.secrets\[0\]'.*'Object'",
    ),
    "an empty list": (
        {"accounts": {"default": ACCOUNT | {"customers": []}}},
        r"'accounts\.default\.customers'.*Length",
    ),
    "a word for a switch of an account": (
        {"accounts": {"default": ACCOUNT | {"subscriptions": "no"}}},
        r"'accounts\.default\.subscriptions'.*'Boolean.*'String'",
    ),
    **{
        f"{value!r} for a private network": ({"privateNetwork": value}, "privateNetwork")
        for value in ("yes", "", "True", " true", "1")
    },
    "no account": ({"accounts": {}}, "PARTNER_CENTER_ACCOUNTS names no account"),
    "no caller": ({"callers": {}}, "CALLERS names no caller.*set it to null"),
    "ranges without a network": ({"vaultIpRanges": ["198.51.100.7/32"]}, "VAULT_IP_RANGES needs PRIVATE_NETWORK=true"),
}


# Each takes two seconds. These are of kinds that others show, too.
LONG = {
    "a misspelt member of a caller",
    "a member of another system's tell",
    "a misspelt member of the Entra app",
    "an object for a name",
    "a word for a switch of an account",
    *(f"{value!r} for a private network" for value in ("True", " true", "1")),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.long if case in LONG else ()) for case in REFUSED]
)
def test_a_wrong_parameter_stops_the_deployment(bicep: Compiler, case: str) -> None:
    """Otherwise the function would answer 500 to every request, or a firewall would not do what its setting says."""
    assert REFUSED.keys() > LONG
    parameters, message = REFUSED[case]

    with pytest.raises(Refused, match=message):
        bicep.predict(MAIN, LEAST | parameters)


def templates(template: Json) -> Iterator[Json]:
    """Yield *template* and the templates of its modules. A template without types has its resources in a list."""
    yield template
    resources = template["resources"]
    for resource in resources.values() if isinstance(resources, dict) else resources:
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from templates(resource["properties"]["template"])


def test_no_secret_is_a_parameter_or_an_output(template: Json, bicep: Compiler) -> None:
    """Everyone with the role Reader can read both in the deployment's history."""
    harmless = {"secretTtlS", "secretName", "refreshTokensStored", "keyName"}
    for part in (*templates(template), bicep.template(AVAILABILITY)):
        names = {*part["parameters"], *part.get("outputs", {})} - harmless
        kinds = {parameter.get("type", "object").lower() for parameter in part["parameters"].values()}
        outputs = json.dumps(part.get("outputs", {}))

        assert {name for name in names if re.search("(?i)secret|token|key$|pass", name)} == set()
        assert kinds & {"securestring", "secureobject"} == set()
        assert re.findall(r"(?i)\blist\w*\(|connectionstring|instrumentationkey|accesskey", outputs) == []
