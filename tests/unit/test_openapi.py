"""The OpenAPI document is made from the code, is complete, and matches what the models accept and refuse."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from infra import openapi, openapi_texts
from shared.contract import CancelRequest, CancelResult, FindRequest, FindResult
from shared.errors import CancelError, FieldError, PartnerCenterError, all_codes, problem_body

DOCUMENT: dict[str, Any] = json.loads(openapi.FILE.read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
CANCEL = DOCUMENT["paths"][openapi.PATH]["post"]
FIND = DOCUMENT["paths"][openapi.FIND_PATH]["get"]
FUNCTIONS = {
    name: Path(__file__).resolve().parents[2] / name / "function.json" for name in ("cancel_order", "find_orders")
}
ID = "655890ba-4d2b-4d09-a95f-4ea1348686a5"
REQUEST = openapi_texts.REQUEST_EXAMPLES["oneLine"]
BY_SUBSCRIPTION = openapi_texts.REQUEST_EXAMPLES["subscription"]


def schema_errors(model: str, value: object) -> list[str]:
    """Return the mistakes in *value*, by the document's schema *model*."""
    resource = Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
    validator = jsonschema.Draft202012Validator(
        {"$ref": f"urn:openapi#/components/schemas/{model}"},
        registry=Registry().with_resource("urn:openapi", resource),
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    return [error.message for error in validator.iter_errors(value)]


def test_the_file_is_what_the_code_makes() -> None:
    assert openapi.FILE.read_text() == openapi.text(), (
        "run .venv/bin/python -m infra.openapi and read the difference before you commit it"
    )


def test_it_is_valid_openapi() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_it_has_the_routes_and_the_methods_of_the_functions() -> None:
    functions = [json.loads(file.read_text()) for file in FUNCTIONS.values()]
    triggers = [binding for function in functions for binding in function["bindings"] if "route" in binding]

    assert {path: sorted(methods) for path, methods in DOCUMENT["paths"].items()} == {
        f"/api/{trigger['route']}": sorted(trigger["methods"]) for trigger in triggers
    }


def test_every_schema_member_and_code_has_a_text_and_no_text_is_left_over() -> None:
    models = {name for name in SCHEMAS if not name.removeprefix("Problem").isdecimal()}
    members = {name: set(SCHEMAS[name]["properties"]) for name in models if "properties" in SCHEMAS[name]}
    edit = "edit the table in infra/openapi_texts.py"

    assert openapi_texts.SCHEMAS.keys() == models, edit
    assert {name: set(texts) for name, texts in openapi_texts.MEMBERS.items()} == members, edit
    assert openapi_texts.CODES.keys() == dict(all_codes()).keys(), edit


def parts_of(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield *schema* and every object in it, with their paths."""
    if isinstance(schema, dict):
        yield path, schema
        for name, part in schema.items():
            yield from parts_of(part, f"{path}/{name}")
    elif isinstance(schema, list):
        for part in schema:
            yield from parts_of(part, path)


PARTS = list(parts_of(SCHEMAS))


def test_a_member_that_may_be_null_is_written_so_that_generators_make_a_plain_member() -> None:
    """NSwag and Kiota make a class of `anyOf`, and then fail to read a text into it."""
    texts = [path for path, part in PARTS if part.get("type") == ["string", "null"]]
    named = {json.dumps(part["oneOf"]) for _, part in PARTS if "oneOf" in part}

    assert not [path for path, part in PARTS if "anyOf" in part]
    assert "/CancelResult/properties/alternateId" in texts
    assert named == {
        json.dumps([{"$ref": f"#/components/schemas/{name}"}, {"type": "null"}])
        for name in ("PartnerCenterError", "OrderState", "Refund")
    }


def test_every_enumeration_of_answers_says_that_values_may_be_added() -> None:
    """A client that stops at an unknown value would take a done cancellation for a failure."""
    described = {path: part["description"] for path, part in PARTS if "enum" in part and "description" in part}

    assert described.keys() >= {"/Outcome", "/Problem/properties/code"}
    assert [path for path, text in described.items() if "Values may be added" not in text] == []
    for path in ("CancelResult", "outcome"), ("AccountHealth", "code"), ("LineItem", "code"), ("LineItem", "refund"):
        assert "Values may be added" in SCHEMAS[path[0]]["properties"][path[1]]["description"]


@pytest.mark.parametrize("code", openapi_texts.CODES)
def test_a_code_says_in_two_sentences_what_happened_to_the_order(code: str) -> None:
    """A flow maker must learn from it whether the order may be cancelled."""
    text = openapi_texts.CODES[code]

    assert text.endswith(".")
    assert len(re.findall(r"\.(?: |$)", text)) <= 2
    may_have_changed = {"outcome_unknown", "unexpected_answer", "some_lines_refused", "some_lines_unfinished"}
    assert ("nothing was changed" in text) is (code not in may_have_changed)


@pytest.mark.parametrize(("code", "status"), list(all_codes()))
def test_every_code_is_possible_under_its_status_alone(code: str, status: int) -> None:
    statuses = {
        response
        for response in CANCEL["responses"]
        if response != "200" and code in SCHEMAS[f"Problem{response}"]["allOf"][1]["properties"]["code"]["enum"]
    }

    assert statuses == {str(status)}
    assert f"`{code}`" in CANCEL["responses"][str(status)]["description"]


@pytest.mark.parametrize("kind", CancelError.__subclasses__())
def test_a_problem_is_as_described(kind: type[CancelError]) -> None:
    for code, status in kind.codes.items():
        error = kind(code, "text", errors=[FieldError("/orderId", "is required")])
        with_field_error = problem_body(error, ID, ID)
        with_their_error = problem_body(kind(code, "text", partner_center=PartnerCenterError("800063", None)), ID, ID)

        assert schema_errors(f"Problem{status}", with_field_error) == []
        assert schema_errors(f"Problem{status}", with_their_error) == []
        assert schema_errors(f"Problem{status}", with_field_error | {"more": 1})
        assert schema_errors(f"Problem{status}", with_field_error | {"retryable": not error.retryable})
        headers = CANCEL["responses"][str(status)]["headers"]
        assert ("Retry-After" in headers) is (error.retry_after_s is not None)


@pytest.mark.parametrize("name", openapi_texts.REQUEST_EXAMPLES)
def test_the_example_requests_are_valid(name: str) -> None:
    example = openapi_texts.REQUEST_EXAMPLES[name]

    assert CancelRequest.model_validate(example)
    assert schema_errors("CancelRequest", example) == []


@pytest.mark.parametrize("name", openapi_texts.RESULT_EXAMPLES)
def test_the_example_answers_are_valid(name: str) -> None:
    example = openapi_texts.RESULT_EXAMPLES[name]

    assert CancelResult.model_validate(example).model_dump(by_alias=True) == example
    assert schema_errors("CancelResult", json.loads(json.dumps(example))) == []


def test_the_example_list_is_valid() -> None:
    [example] = openapi_texts.FIND_EXAMPLES.values()

    assert FindResult.model_validate(example).model_dump(by_alias=True) == example
    assert schema_errors("FindResult", json.loads(json.dumps(example))) == []


def test_the_tenant_comes_before_the_domain_and_the_order_before_the_subscription() -> None:
    """The model has them the other way round, for its checks; people and generated clients see these first."""
    first = ["customerTenantId", "customerDomain", "orderId", "subscriptionId"]

    assert list(SCHEMAS["CancelRequest"]["properties"])[:4] == first


def test_a_list_is_asked_for_by_the_members_of_the_model() -> None:
    query = {parameter["name"]: parameter for parameter in FIND["parameters"] if "name" in parameter}

    assert query.keys() == {field.alias for field in FindRequest.model_fields.values()}
    assert all(parameter["in"] == "query" and "required" not in parameter for parameter in query.values())
    assert query["cancellable"]["schema"] == {"type": "boolean", "default": False}
    assert query["customerTenantId"]["schema"]["type"] == "string"


def test_a_list_has_the_problems_of_a_cancellation_that_changes_nothing() -> None:
    """Clients read the problems of both with the same code."""
    may_change = {"outcome_unknown", "some_lines_refused", "some_lines_unfinished"}
    described = {
        code: int(status)
        for status, response in FIND["responses"].items()
        for code in re.findall(r"^- `(\w+)`", response["description"], re.MULTILINE)
    }

    assert described.items() <= dict(all_codes()).items()
    assert described.keys() == openapi_texts.FIND_CODES
    assert not described.keys() & may_change


def test_no_signature_opens_a_list() -> None:
    """A signature does not cover the query."""
    schemes = {name for way in FIND["security"] for name in way}

    assert schemes == {"functionKey", "callerKey", "entra"}


@pytest.mark.parametrize(
    "change",
    [
        {"lineItems": None},
        {"lineItems": []},
        {"lineItems": [{"lineItemNumber": 0, "offerId": None}]},
        {"lineItems": [{"lineItemNumber": -1}]},
        {"lineItems": [{"lineItemNumber": 2**31}]},
        {"lineItems": [{"lineItemNumber": True}]},
        {"account": None},
        {"account": ""},
        {"when": None},
        {"when": "later"},
        {"dryRun": None},
        {"dryRun": "true"},
        {"ticketId": "x" * 101},
        {"reason": "x" * 1_001},
        {"orderId": "short"},
        {"orderId": None},
        {"subscriptionId": None},
        {"subscriptionId": ID},
        {"customerTenantId": "contoso.onmicrosoft.com"},
        {"customerTenantId": None},
        {"customerDomain": None},
        {"customerDomain": "contoso.com"},
        {"more": 1},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_model_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="CancelRequest"):
        CancelRequest.model_validate(REQUEST | change)

    assert schema_errors("CancelRequest", REQUEST | change)


@pytest.mark.parametrize(
    "change",
    [
        {"orderId": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1"},
        {"lineItems": [{"lineItemNumber": 0}]},
        {"lineItems": []},
        {"subscriptionId": None},
        {"subscriptionId": "8178ac72b28d"},
        {"customerTenantId": None},
        {"customerDomain": "contoso.com"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_model_refuses_by_subscription(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="CancelRequest"):
        CancelRequest.model_validate(BY_SUBSCRIPTION | change)

    assert schema_errors("CancelRequest", BY_SUBSCRIPTION | change)


def test_a_request_names_an_order_or_a_subscription() -> None:
    neither = {name: value for name, value in REQUEST.items() if name not in {"orderId", "lineItems"}}

    with pytest.raises(ValueError, match="is missing"):
        CancelRequest.model_validate(neither)
    assert schema_errors("CancelRequest", neither)
    assert CancelRequest.model_validate(BY_SUBSCRIPTION | {"orderId": None})
    assert schema_errors("CancelRequest", BY_SUBSCRIPTION | {"orderId": None}) == []


@pytest.mark.parametrize("body", [REQUEST, BY_SUBSCRIPTION], ids=["order", "subscription"])
def test_a_request_names_a_tenant_or_a_domain(body: dict[str, Any]) -> None:
    neither = {name: value for name, value in body.items() if name != "customerTenantId"}
    by_domain = neither | {"customerDomain": "contoso.com"}

    with pytest.raises(ValueError, match="is missing"):
        CancelRequest.model_validate(neither)
    assert schema_errors("CancelRequest", neither)
    for valid in (by_domain, by_domain | {"customerTenantId": None}):
        assert CancelRequest.model_validate(valid)
        assert schema_errors("CancelRequest", valid) == []


@pytest.mark.parametrize(
    "change",
    [{"ticketId": None}, {"reason": None}, {"reason": "x" * 1_000}, {"when": "now"}, {"when": "term_end"}],
    ids=str,
)
def test_the_schema_accepts_what_the_model_accepts(change: dict[str, Any]) -> None:
    assert CancelRequest.model_validate(REQUEST | change)
    assert schema_errors("CancelRequest", REQUEST | change) == []
