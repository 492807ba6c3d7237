"""The Power Automate connector has the fields, limits and codes of the code, no others, and keeps Microsoft's rules.

The connector is written by hand, because flow makers need other texts than programmers.

Source of the rules: learn.microsoft.com/connectors/custom-connectors/ certification-swagger-validator-rules,
certification-submission, multi-auth, policy-templates; microsoft/PowerPlatformConnectors, schemas and templates
(read 2026-11-21). `paconn validate` works only online at Microsoft, so these tests are our reading of the rules.
"""

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest

from infra import openapi, openapi_texts
from shared.contract import CancelResult
from shared.errors import RETRYABLE_STATUSES, all_codes
from shared.runtime import DRY_RUN_HEADER
from tests.support.local_cloud import Json

FOLDER = Path(__file__).resolve().parents[2] / "infra/power-automate"
CONNECTOR: Json = json.loads((FOLDER / "apiDefinition.swagger.json").read_text())
PROPERTIES: Json = json.loads((FOLDER / "apiProperties.json").read_text())["properties"]
OPENAPI: Json = openapi.document()
DEFINITIONS: Json = CONNECTOR["definitions"]
OPERATIONS: dict[str, Json] = {
    operation["operationId"]: operation for methods in CONNECTOR["paths"].values() for operation in methods.values()
}
CANCEL, LOOK, LIST = (OPERATIONS[name] for name in ("CancelOrder", "LookAtOrder", "ListOrders"))
DESCRIBED = {  # the operation of the code that each one calls
    "CancelOrder": OPENAPI["paths"][openapi.PATH]["post"],
    "LookAtOrder": OPENAPI["paths"][openapi.PATH]["post"],
    "CheckHealth": OPENAPI["paths"][openapi.PATH]["get"],
    "ListOrders": OPENAPI["paths"][openapi.FIND_PATH]["get"],
}
LOOK_PATH = "/api/look_at_order"  # no function has it
CONNECTION_KINDS: list[Json] = PROPERTIES["connectionParameterSets"]["values"]
POLICIES: list[Json] = PROPERTIES["policyTemplateInstances"]

CONSTRAINTS = ("enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "default")
ANNOTATIONS = (
    *("title", "description", "format", "x-ms-summary", "x-ms-visibility", "x-nullable", "x-ms-enum-values"),
    "x-ms-dynamic-values",
)
STRUCTURE = ("type", "items", "properties", "required", "additionalProperties")
VISIBILITIES = {"important", "advanced", "internal"}
POLICY_TEMPLATES = {
    *("convertarraytoobject", "convertobjecttoarray", "dynamichosturl", "encodepropertyvalue", "pollingtrigger"),
    *("routerequesttoendpoint", "setheader", "setproperty", "setqueryparameter", "setvaluefromurl", "stringreplace"),
    *("stringtoarray", "updatenextlink"),
}
FORBIDDEN_IN_A_TITLE = (
    r"\b(API|Connector|Power (Apps|Automate|BI|Pages|Platform|Virtual Agents)|Copilot|Dataverse|Flow)\b"
)


def properties_in(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Yield the path and the schema of every property in *schema* and below it."""
    for name, member in schema.get("properties", {}).items():
        yield f"{path}/{name}", member
        yield from properties_in(member, f"{path}/{name}")


FIELDS = dict(pair for name, definition in DEFINITIONS.items() for pair in properties_in(definition, f"/{name}")) | {
    f"parameter {parameter['name']} of {name}": parameter
    for name, operation in OPERATIONS.items()
    for parameter in operation["parameters"]
}


# The schemas of the code and of the connector.


def constraints(schema: Json, definitions: Json) -> Json:
    """Return what *schema* allows, in one form for OpenAPI 2 and 3.1: no references, and null as the member `null`."""
    if "$ref" in schema:
        beside = {name: schema[name] for name in CONSTRAINTS if name in schema}
        return constraints(definitions[schema["$ref"].rpartition("/")[2]], definitions) | beside
    if "oneOf" in schema:
        [other] = [option for option in schema["oneOf"] if option != {"type": "null"}]
        return constraints(other, definitions) | {"null": True}
    if isinstance(schema.get("type"), list):
        [other] = [kind for kind in schema["type"] if kind != "null"]
        return constraints(schema | {"type": other}, definitions) | {"null": True}
    if "if" in schema:  # OpenAPI 2 has no conditions; the descriptions say them
        return constraints({name: schema[name] for name in schema.keys() - {"if", "then", "else"}}, definitions)
    if "const" in schema:
        return constraints({"enum": [schema["const"]]}, definitions)
    assert schema.keys() <= {*CONSTRAINTS, *ANNOTATIONS, *STRUCTURE}
    found: Json = {name: schema[name] for name in CONSTRAINTS if name in schema}
    found |= {"type": schema.get("type", "string"), "null": schema.get("x-nullable", False)}
    if "items" in schema:
        found["items"] = constraints(schema["items"], definitions)
    if schema.get("additionalProperties"):
        found["each"] = constraints(schema["additionalProperties"], definitions)
    if "properties" in schema:
        found["required"] = set(schema.get("required", ()))
        found["properties"] = {name: constraints(member, definitions) for name, member in schema["properties"].items()}
    return found


@pytest.mark.parametrize("name", ["CancelRequest", "CancelResult", "FindResult", "Problem", "Health"])
def test_a_definition_has_the_fields_and_limits_of_the_model_and_no_others(name: str) -> None:
    """The OpenAPI document is made from the models, so it stands for them here."""
    schemas = OPENAPI["components"]["schemas"]

    assert constraints(DEFINITIONS[name], DEFINITIONS) == constraints(schemas[name], schemas), (
        "change infra/power-automate/apiDefinition.swagger.json to match the model"
    )


def test_a_list_is_asked_for_with_the_parameters_and_limits_of_the_code() -> None:
    query = [parameter for parameter in LIST["parameters"] if parameter["in"] == "query"]
    described = [parameter for parameter in DESCRIBED["ListOrders"]["parameters"] if "name" in parameter]

    assert [parameter["name"] for parameter in query] == [parameter["name"] for parameter in described]
    for parameter, of_code in zip(query, described, strict=True):
        assert parameter["required"] is False
        schema = {name: parameter[name] for name in parameter.keys() - {"name", "in", "required"}}
        assert constraints(schema, {}) == constraints(of_code["schema"], {}), parameter["name"]


@pytest.mark.parametrize("name", ["CancelRequest", "CancelResult", "LineItem", "OrderState"])
def test_fields_are_in_the_order_of_the_openapi_document(name: str) -> None:
    """A flow maker sees them in this order."""
    fields = list(OPENAPI["components"]["schemas"][name]["properties"])

    assert list(DEFINITIONS[name]["properties"]) == fields


@pytest.mark.parametrize("described", [CANCEL, LOOK, DEFINITIONS["CancelRequest"], DEFINITIONS["LookRequest"]])
def test_it_says_that_a_request_names_one_customer_and_one_order_or_subscription(described: Json) -> None:
    """OpenAPI 2 cannot say it in another way."""
    assert "exactly one of Customer tenant ID and Customer domain" in described["description"]
    assert "exactly one of Order ID and Subscription ID" in described["description"]


def test_it_says_that_a_list_is_of_one_customer() -> None:
    assert "exactly one of Customer tenant ID and Customer domain" in LIST["description"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_the_statuses_of_the_code_and_no_others(name: str) -> None:
    assert OPERATIONS[name]["responses"].keys() == DESCRIBED[name]["responses"].keys()


MAY_CHANGE = {"outcome_unknown", "some_lines_refused", "some_lines_unfinished"}
POSSIBLE = {
    "CancelOrder": dict(all_codes()).keys(),
    "LookAtOrder": dict(all_codes()).keys() - MAY_CHANGE,
    "ListOrders": openapi_texts.FIND_CODES,
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_each_status_describes_its_codes_and_no_others(name: str) -> None:
    for status, response in OPERATIONS[name]["responses"].items():
        if status == "200":
            continue
        expected = {code for code, code_status in all_codes() if str(code_status) == status and code in POSSIBLE[name]}
        described = {code for code, _ in all_codes() if re.search(rf"\b{code}\b", response["description"])}
        assert described == expected, f"apiDefinition.swagger.json: name these codes in the description of {status}"
        assert response["schema"] == {"$ref": "#/definitions/Problem"}
        assert ("Retry-After" in response.get("headers", {})) is (int(status) in RETRYABLE_STATUSES)


@pytest.mark.parametrize("name", ["CancelResult/outcome", "Problem/code", "LineItem/code", "LineItem/refund"])
def test_a_value_to_branch_on_says_that_values_may_be_added(name: str) -> None:
    """A flow without a branch for others would treat a new outcome as nothing at all."""
    assert FIELDS[f"/{name}"]["description"].endswith("Values may be added, so a flow needs a branch for others.")


@pytest.mark.parametrize("name", ["CancelRequest", "LookRequest", "CancelResult", "OrderState"])
def test_when_is_shown_in_the_words_of_people(name: str) -> None:
    field = FIELDS[f"/{name}/when"]
    words = {entry["value"]: entry["displayName"] for entry in field["x-ms-enum-values"]}

    assert words == {"now": "Cancel now", "term_end": "Do not renew"}
    assert list(words) == field["enum"]
    assert all(f"{words[value].lower()} ({value})" in field["description"].lower() for value in words)


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_has_the_headers_of_the_code(name: str) -> None:
    headers = {parameter["name"] for parameter in OPERATIONS[name]["parameters"] if parameter["in"] == "header"}
    references = [parameter.get("$ref", "") for parameter in DESCRIBED[name].get("parameters", [])]

    assert headers == {reference.rpartition("/")[2] for reference in references if reference}


def test_it_has_the_paths_and_methods_of_the_code_and_one_more() -> None:
    paths = {path: methods.keys() for path, methods in CONNECTOR["paths"].items()}

    assert paths.pop(LOOK_PATH) == {"post"}
    assert paths == {path: methods.keys() for path, methods in OPENAPI["paths"].items()}


def test_the_example_answer_is_valid() -> None:
    example = CANCEL["responses"]["200"]["examples"]["application/json"]

    assert CancelResult.model_validate(example).model_dump(by_alias=True) == example


# To look and to cancel are two actions of one path of the function (decision 43).


def test_a_look_is_the_request_that_cancels_with_a_dry_run_that_nobody_can_turn_off() -> None:
    """It is required, so that an action without it is refused before it is sent."""
    cancel, look = (constraints(DEFINITIONS[name], DEFINITIONS) for name in ("CancelRequest", "LookRequest"))
    dry_run = DEFINITIONS["LookRequest"]["properties"]["dryRun"]

    assert look["properties"].pop("dryRun") == cancel["properties"].pop("dryRun") | {"default": True}
    assert look.pop("required") == {"dryRun"}
    assert cancel.pop("required") == set()
    assert look == cancel
    assert dry_run["x-ms-visibility"] == "internal"


def test_a_look_goes_to_the_path_that_cancels() -> None:
    """Two actions cannot have the same path and method. Without this policy the look is answered with 404."""
    [routing] = [policy for policy in POLICIES if policy["templateId"] == "routerequesttoendpoint"]

    assert routing["parameters"] == {
        "x-ms-apimTemplateParameter.newPath": openapi.PATH,
        "x-ms-apimTemplateParameter.httpMethod": "POST",
        "x-ms-apimTemplate-operationName": ["LookAtOrder"],
    }
    assert CONNECTOR["paths"][LOOK_PATH]["post"] is LOOK


def test_a_look_is_a_dry_run_without_its_hidden_field_too() -> None:
    [header] = [
        policy["parameters"]
        for policy in POLICIES
        if policy["parameters"].get("x-ms-apimTemplateParameter.name", "").lower() == DRY_RUN_HEADER
    ]

    assert header["x-ms-apimTemplateParameter.value"]
    assert header["x-ms-apimTemplate-operationName"] == ["LookAtOrder"]


def test_one_action_says_that_it_cancels_and_the_others_that_they_change_nothing() -> None:
    assert CANCEL["summary"].startswith("Cancel ")
    assert CANCEL["description"].startswith("This action cancels: ")
    for name, operation in OPERATIONS.items():
        if name != "CancelOrder":
            assert "Cancel" not in operation["summary"]
            assert re.search("changes nothing|Cancels nothing", operation["description"])


def test_a_flow_from_before_still_makes_its_dry_runs() -> None:
    """The member must stay: without it, a flow with *Dry run* would cancel."""
    assert FIELDS["/CancelRequest/dryRun"]["x-ms-visibility"] == "advanced"


# Lists to choose from.


def of_path(value: Any, path: str) -> Any:
    """Return the member of *value* at *path*, as Microsoft's designer does; members of a list are named by numbers.

    Source: github.com/Azure/LogicAppsUX, libs/designer-v2/src/lib/core/queries/connector.ts, getLegacyDynamicValues,
    with getObjectPropertyValue (read at 5c7453c).
    """
    for name in path.split("/"):
        value = value[int(name)] if isinstance(value, list) else value.get(name)
    return value


LISTS = {name: field["x-ms-dynamic-values"] for name, field in FIELDS.items() if "x-ms-dynamic-values" in field}
CHOICES = {
    "/CancelRequest/orderId": ["1f64b775d881", None],  # the second is a subscription that no order names
    "/LookRequest/orderId": ["1f64b775d881", None],
    "/LineItemRef/lineItemNumber": [0],
}


def test_orders_and_lines_are_chosen_from_lists() -> None:
    assert LISTS.keys() == CHOICES.keys()


@pytest.mark.parametrize("name", LISTS)
def test_a_list_comes_from_an_action_that_changes_nothing(name: str) -> None:
    """The designer calls it by itself, whenever somebody opens the list."""
    assert LISTS[name]["operationId"] == "ListOrders"


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_asked_for_with_fields_of_the_action(name: str) -> None:
    parameters = LISTS[name]["parameters"]

    assert parameters.keys() <= {parameter["name"] for parameter in LIST["parameters"]}
    assert {"customerTenantId", "customerDomain", "account"} <= parameters.keys()
    for reference in parameters.values():
        for request in ("CancelRequest", "LookRequest"):
            assert reference["parameter"] in DEFINITIONS[request]["properties"]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_the_value_and_the_title_in_the_answer(name: str) -> None:
    [answer] = openapi_texts.FIND_EXAMPLES.values()
    items = of_path(answer, LISTS[name]["value-collection"])

    assert [of_path(item, LISTS[name]["value-path"]) for item in items] == CHOICES[name]
    titles = {of_path(item, LISTS[name]["value-title"]) for item in items}
    assert titles == {"Microsoft 365 Business Basic"}


# Microsoft's rules.


def test_it_is_valid_openapi_2() -> None:
    assert CONNECTOR["swagger"] == "2.0"
    openapi_spec_validator.validate(CONNECTOR)


def test_title_description_and_contact_keep_the_rules() -> None:
    info = CONNECTOR["info"]
    metadata = {entry["propertyName"]: entry["propertyValue"] for entry in CONNECTOR["x-ms-connector-metadata"]}

    assert not re.search(FORBIDDEN_IN_A_TITLE, info["title"], re.IGNORECASE)
    assert len(info["title"]) <= 30
    assert 30 <= len(info["description"]) <= 500
    assert info["contact"].keys() == {"name", "url", "email"}
    assert metadata.keys() == {"Website", "Privacy policy", "Categories"}
    assert all(metadata.values())
    assert CONNECTOR["schemes"] == ["https"]


def test_operation_ids_are_unique() -> None:
    assert len(OPERATIONS) == sum(len(methods) for methods in CONNECTOR["paths"].values())


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_named_and_described(name: str) -> None:
    operation = OPERATIONS[name]

    assert re.fullmatch(r"([A-Z][a-z]+)+", operation["operationId"])
    assert 0 < len(operation["summary"]) <= 80
    assert not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    assert operation["description"].rstrip(".") != operation["summary"]
    assert operation["x-ms-visibility"] in VISIBILITIES
    assert "200" in operation["responses"]
    assert "default" not in operation["responses"]
    assert all(response["description"].endswith(".") for response in operation["responses"].values())


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_named_and_described(name: str) -> None:
    field = FIELDS[name]

    assert re.fullmatch(r"[A-Z].{0,79}", field["x-ms-summary"])
    assert field["description"].endswith(".")
    assert field["description"].rstrip(".") != field["x-ms-summary"]
    assert field["x-ms-visibility"] in VISIBILITIES
    assert "$ref" not in field  # OpenAPI 2 ignores every member beside a $ref
    assert ("items" in field) is (field.get("type") == "array")


@pytest.mark.parametrize("name", ["CancelRequest", "LookRequest", "LineItemRef"])
def test_required_fields_are_shown_first_or_have_a_default_and_are_hidden(name: str) -> None:
    request = DEFINITIONS[name]

    for field in (request["properties"][required] for required in request.get("required", ())):
        assert field["x-ms-visibility"] == ("internal" if "default" in field else "important")


def test_the_icon_keeps_the_rules() -> None:
    """A square PNG below 1 MB on the brand's colour, which is neither white nor the default blue."""
    image = (FOLDER / "icon.png").read_bytes()
    width, height, depth, kind = struct.unpack(">IIBB", image[16:26])
    palette = image.index(b"PLTE")
    colour = image[palette + 4 : palette + 7].hex().upper()

    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert (width, height, depth, kind) == (230, 230, 8, 3)
    assert len(image) < 1_000_000
    assert PROPERTIES["iconBrandColor"] == f"#{colour}"
    assert PROPERTIES["iconBrandColor"].lower() not in {"#ffffff", "#007ee5"}


# The connection: which function, and how the flow signs in.


def test_there_are_two_kinds_of_connection() -> None:
    kinds = {
        kind["name"]: {name: parameter["type"] for name, parameter in kind["parameters"].items()}
        for kind in CONNECTION_KINDS
    }

    assert kinds == {
        "key": {"hostName": "string", "functionKey": "securestring", "callerKey": "securestring"},
        "entra": {"token": "oauthSetting", "hostName": "string", "functionKey": "securestring"},
    }


@pytest.mark.parametrize(
    "definition",
    [
        PROPERTIES["connectionParameterSets"],
        *CONNECTION_KINDS,
        *(parameter for kind in CONNECTION_KINDS for parameter in kind["parameters"].values()),
    ],
    ids=lambda definition: definition["uiDefinition"]["displayName"],
)
def test_every_part_of_a_connection_is_described(definition: Json) -> None:
    texts = definition["uiDefinition"]

    assert texts["displayName"]
    assert texts["description"].endswith(".")
    if "type" in definition:
        assert texts["constraints"]["required"] in {"true", "false"}
        assert texts["tooltip"]
    if definition.get("type") == "securestring":
        assert texts["constraints"]["clearText"] is False


def test_signing_in_uses_entra_and_contains_no_secret() -> None:
    [settings] = [kind["parameters"]["token"]["oAuthSettings"] for kind in CONNECTION_KINDS if kind["name"] == "entra"]

    assert settings["identityProvider"] == "aad"
    assert settings["redirectMode"] == "GlobalPerConnector"
    assert settings["customParameters"].keys() == {"loginUri", "tenantId", "resourceUri"}
    assert "clientSecret" not in settings


def test_policies_are_microsofts_and_use_parameters_of_the_connection() -> None:
    for policy in POLICIES:
        assert policy["templateId"] in POLICY_TEMPLATES
        assert policy["title"]
        for name, default in re.findall(r"@connectionParameters\('(\w+)'(,'')?\)", json.dumps(policy)):
            kinds_with_it = [kind for kind in CONNECTION_KINDS if name in kind["parameters"]]
            assert kinds_with_it
            assert default or kinds_with_it == CONNECTION_KINDS, f"{name} is not in every kind and has no default"


def test_the_function_gets_both_keys_from_the_connection() -> None:
    headers = {
        policy["parameters"]["x-ms-apimTemplateParameter.name"]: policy["parameters"]
        for policy in POLICIES
        if policy["templateId"] == "setheader" and "x-ms-apimTemplate-operationName" not in policy["parameters"]
    }
    schemes = OPENAPI["components"]["securitySchemes"]

    assert headers.keys() == {schemes["functionKey"]["name"], schemes["callerKey"]["name"]}
    for parameters in headers.values():
        assert parameters["x-ms-apimTemplate-policySection"] == "Request"
        assert parameters["x-ms-apimTemplateParameter.existsAction"] == "override"
    [host] = [policy for policy in POLICIES if policy["templateId"] == "dynamichosturl"]
    assert host["parameters"] == {"x-ms-apimTemplateParameter.urlTemplate": "https://@connectionParameters('hostName')"}
