"""The Power Automate connector says what the code does, in both directions, and keeps Microsoft's rules.

Source of the rules: learn.microsoft.com/connectors/custom-connectors/ certification-swagger-validator-rules,
certification-submission, multi-auth, policy-templates; microsoft/PowerPlatformConnectors, schemas and templates
(read 2026-11-21). `paconn validate` asks Microsoft online, so these are our own reading of them.
"""

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest

from infra import openapi
from shared.contract import CancelRequest, CancelResult
from shared.errors import RETRYABLE_STATUSES, all_codes

type Json = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[2] / "infra/power-automate"
CONNECTOR: Json = json.loads((FOLDER / "apiDefinition.swagger.json").read_text())
PROPERTIES: Json = json.loads((FOLDER / "apiProperties.json").read_text())["properties"]
OPENAPI: Json = openapi.document()
OPERATIONS: Json = CONNECTOR["paths"][openapi.PATH]
CANCEL, ANSWERS = OPERATIONS["post"], OPERATIONS["post"]["responses"]
SETS: list[Json] = PROPERTIES["connectionParameterSets"]["values"]
POLICIES: list[Json] = PROPERTIES["policyTemplateInstances"]

RULES = ("enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "default")
WORDS = ("title", "description", "format", "x-ms-summary", "x-ms-visibility", "x-nullable")
VISIBILITIES = {"important", "advanced", "internal"}
POLICY_TEMPLATES = {
    *("convertarraytoobject", "convertobjecttoarray", "dynamichosturl", "encodepropertyvalue", "pollingtrigger"),
    *("routerequesttoendpoint", "setheader", "setproperty", "setqueryparameter", "setvaluefromurl", "stringreplace"),
    *("stringtoarray", "updatenextlink"),
}
NOT_IN_A_TITLE = r"\b(API|Connector|Power (Apps|Automate|BI|Pages|Platform|Virtual Agents)|Copilot|Dataverse|Flow)\b"


def described(part: Json, at: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every property in *part* and below, with where it is."""
    for name, schema in part.get("properties", {}).items():
        yield f"{at}/{name}", schema
        yield from described(schema, f"{at}/{name}")


MEMBERS = dict(
    pair for name, definition in CONNECTOR["definitions"].items() for pair in described(definition, f"/{name}")
)
PARAMETERS = {
    parameter["name"]: parameter for operation in OPERATIONS.values() for parameter in operation["parameters"]
}


# The code's schemas and the connector's, brought to one form: what may be sent and what may come.


def plain(schema: Json, definitions: Json) -> Json:
    """Return the bare rules in *schema*, references followed, null as the member `null`."""
    if "$ref" in schema:
        return plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        [other] = [one for one in schema["anyOf"] if one != {"type": "null"}]
        return plain(other, definitions) | {"null": True}
    if "const" in schema:
        return plain({"enum": [schema["const"]]}, definitions)
    assert schema.keys() <= {*RULES, *WORDS, "type", "items", "properties", "required", "additionalProperties"}
    rules: Json = {rule: schema[rule] for rule in RULES if rule in schema}
    rules |= {"type": schema.get("type", "string"), "null": schema.get("x-nullable", False)}
    if "items" in schema:
        rules["items"] = plain(schema["items"], definitions)
    if schema.get("additionalProperties"):
        rules["each"] = plain(schema["additionalProperties"], definitions)
    if "properties" in schema:
        rules["required"] = set(schema.get("required", ()))
        rules["properties"] = {name: plain(one, definitions) for name, one in schema["properties"].items()}
    return rules


@pytest.mark.parametrize("name", ["CancelRequest", "CancelResult", "Problem", "Health"])
def test_it_knows_the_fields_limits_and_words_of_the_code_and_no_others(name: str) -> None:
    """infra/openapi.json is made from the models; what it says, and what the connector says, must be one."""
    theirs = OPENAPI["components"]["schemas"]

    assert plain(CONNECTOR["definitions"][name], CONNECTOR["definitions"]) == plain(theirs[name], theirs)


def test_members_stand_in_the_order_of_the_models() -> None:
    """It is the order in which a flow maker sees them."""
    for model in (CancelRequest, CancelResult):
        fields = [field.alias for field in model.model_fields.values()]
        assert list(CONNECTOR["definitions"][model.__name__]["properties"]) == fields


@pytest.mark.parametrize("method", ["get", "post"])
def test_it_knows_the_statuses_of_the_code_and_no_others(method: str) -> None:
    assert OPERATIONS[method]["responses"].keys() == OPENAPI["paths"][openapi.PATH][method]["responses"].keys()


def test_each_status_names_its_codes_and_no_others() -> None:
    for status, answer in ANSWERS.items():
        if status == "200":
            continue
        codes = {code for code, its_status in all_codes() if str(its_status) == status}
        assert {code for code, _ in all_codes() if re.search(rf"\b{code}\b", answer["description"])} == codes
        assert answer["schema"] == {"$ref": "#/definitions/Problem"}
        assert ("Retry-After" in answer.get("headers", {})) is (int(status) in RETRYABLE_STATUSES)


def test_it_sends_the_headers_of_the_code() -> None:
    headers = {parameter["name"] for parameter in CANCEL["parameters"] if parameter["in"] == "header"}

    assert headers == OPENAPI["components"]["parameters"].keys()


def test_its_paths_and_methods_are_those_of_the_code() -> None:
    assert list(CONNECTOR["paths"]) == list(OPENAPI["paths"])
    assert OPERATIONS.keys() == OPENAPI["paths"][openapi.PATH].keys()


def test_the_answer_it_shows_is_an_answer() -> None:
    example = ANSWERS["200"]["examples"]["application/json"]

    assert CancelResult.model_validate(example).model_dump(by_alias=True) == example


# Microsoft's rules.


def test_it_is_openapi_2() -> None:
    assert CONNECTOR["swagger"] == "2.0"
    openapi_spec_validator.validate(CONNECTOR)


def test_it_says_what_it_is() -> None:
    info = CONNECTOR["info"]
    metadata = {one["propertyName"]: one["propertyValue"] for one in CONNECTOR["x-ms-connector-metadata"]}

    assert not re.search(NOT_IN_A_TITLE, info["title"], re.IGNORECASE)
    assert len(info["title"]) <= 30
    assert 30 <= len(info["description"]) <= 500
    assert info["contact"].keys() == {"name", "url", "email"}
    assert metadata.keys() == {"Website", "Privacy policy", "Categories"}
    assert all(metadata.values())
    assert CONNECTOR["schemes"] == ["https"]


@pytest.mark.parametrize("method", OPERATIONS)
def test_operations_are_named_and_described(method: str) -> None:
    operation = OPERATIONS[method]

    assert re.fullmatch(r"([A-Z][a-z]+)+", operation["operationId"])
    assert 0 < len(operation["summary"]) <= 80
    assert not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    assert operation["description"].rstrip(".") != operation["summary"]
    assert operation["x-ms-visibility"] in VISIBILITIES
    assert "200" in operation["responses"]
    assert "default" not in operation["responses"]
    assert all(response["description"].endswith(".") for response in operation["responses"].values())


@pytest.mark.parametrize(
    "part", [*MEMBERS.values(), *PARAMETERS.values()], ids=[*MEMBERS, *(f"parameter {name}" for name in PARAMETERS)]
)
def test_fields_are_named_and_described(part: Json) -> None:
    assert re.fullmatch(r"[A-Z].{0,79}", part["x-ms-summary"])
    assert part["description"].endswith(".")
    assert part["description"].rstrip(".") != part["x-ms-summary"]
    assert part["x-ms-visibility"] in VISIBILITIES
    assert "$ref" not in part  # what stands beside it would be ignored
    assert ("items" in part) is (part.get("type") == "array")


def test_what_is_required_is_shown_first() -> None:
    request = CONNECTOR["definitions"]["CancelRequest"]

    assert all(request["properties"][name]["x-ms-visibility"] == "important" for name in request["required"])


def test_the_icon_is_as_microsoft_wants_it() -> None:
    """A square PNG below 1 MB on the brand's colour, which is neither white nor the default blue."""
    image = (FOLDER / "icon.png").read_bytes()
    width, height, depth, kind = struct.unpack(">IIBB", image[16:26])
    at = image.index(b"PLTE")
    colour = image[at + 4 : at + 7].hex().upper()

    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert (width, height, depth, kind) == (230, 230, 8, 3)
    assert len(image) < 1_000_000
    assert PROPERTIES["iconBrandColor"] == f"#{colour}"
    assert PROPERTIES["iconBrandColor"].lower() not in {"#ffffff", "#007ee5"}


# The connection: which function, and how the flow proves itself.


def test_a_connection_is_of_one_of_two_kinds() -> None:
    kinds = {one["name"]: {name: part["type"] for name, part in one["parameters"].items()} for one in SETS}

    assert kinds == {
        "key": {"hostName": "string", "functionKey": "securestring", "callerKey": "securestring"},
        "entra": {"token": "oauthSetting", "hostName": "string", "functionKey": "securestring"},
    }


@pytest.mark.parametrize(
    "definition",
    [PROPERTIES["connectionParameterSets"], *SETS, *(part for one in SETS for part in one["parameters"].values())],
    ids=lambda one: one["uiDefinition"]["displayName"],
)
def test_what_a_connection_asks_for_is_described(definition: Json) -> None:
    shown = definition["uiDefinition"]

    assert shown["displayName"]
    assert shown["description"].endswith(".")
    if "type" in definition:
        assert shown["constraints"]["required"] in {"true", "false"}
        assert shown["tooltip"]
    if definition.get("type") == "securestring":
        assert shown["constraints"]["clearText"] is False


def test_signing_in_goes_to_entra_and_holds_no_secret() -> None:
    [settings] = [one["parameters"]["token"]["oAuthSettings"] for one in SETS if "token" in one["parameters"]]

    assert settings["identityProvider"] == "aad"
    assert settings["redirectMode"] == "GlobalPerConnector"
    assert settings["customParameters"].keys() == {"loginUri", "tenantId", "resourceUri"}
    assert "clientSecret" not in settings


def test_policies_are_microsofts_and_name_what_a_connection_has() -> None:
    asked = [one["parameters"].keys() for one in SETS]
    for policy in POLICIES:
        assert policy["templateId"] in POLICY_TEMPLATES
        assert policy["title"]
        for name, default in re.findall(r"@connectionParameters\('(\w+)'(,'')?\)", json.dumps(policy)):
            # Without a default it must be in every kind of connection.
            assert any(name in one for one in asked) if default else all(name in one for one in asked)


def test_the_function_gets_both_keys_from_the_connection() -> None:
    headers = {
        policy["parameters"]["x-ms-apimTemplateParameter.name"]: policy["parameters"]
        for policy in POLICIES
        if policy["templateId"] == "setheader"
    }
    schemes = OPENAPI["components"]["securitySchemes"]

    assert headers.keys() == {schemes["functionKey"]["name"], schemes["callerKey"]["name"]}
    for parameters in headers.values():
        assert parameters["x-ms-apimTemplate-policySection"] == "Request"
        assert parameters["x-ms-apimTemplateParameter.existsAction"] == "override"
    [host] = [policy for policy in POLICIES if policy["templateId"] == "dynamichosturl"]
    assert host["parameters"] == {"x-ms-apimTemplateParameter.urlTemplate": "https://@connectionParameters('hostName')"}
