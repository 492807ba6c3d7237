"""The OpenAPI description is the code's: generated, complete, and true of every answer."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from infra import openapi, openapi_words
from shared.contract import CancelRequest, CancelResult
from shared.errors import CancelError, FieldError, PartnerCenterError, all_codes, problem_body

DOCUMENT: dict[str, Any] = json.loads(openapi.FILE.read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
CANCEL = DOCUMENT["paths"][openapi.PATH]["post"]
FUNCTION = json.loads((Path(__file__).resolve().parents[2] / "cancel_order/function.json").read_text())
ID = "655890ba-4d2b-4d09-a95f-4ea1348686a5"
REQUEST = openapi_words.REQUEST_EXAMPLES["oneLine"]


def errors(model: str, value: object) -> list[str]:
    """Return what is wrong with *value* by the document's schema *model*."""
    resource = Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
    validator = jsonschema.Draft202012Validator(
        {"$ref": f"urn:openapi#/components/schemas/{model}"},
        registry=Registry().with_resource("urn:openapi", resource),
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    return [error.message for error in validator.iter_errors(value)]


def test_the_file_is_what_the_code_makes() -> None:
    """If this fails: `.venv/bin/python -m infra.openapi`, and read the difference before committing it."""
    assert openapi.FILE.read_text() == openapi.text()


def test_it_is_openapi() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_it_describes_the_route_and_the_methods_of_the_function() -> None:
    [trigger] = [binding for binding in FUNCTION["bindings"] if binding["type"] == "httpTrigger"]

    assert list(DOCUMENT["paths"]) == [f"/api/{trigger['route']}"]
    assert sorted(DOCUMENT["paths"][openapi.PATH]) == sorted(trigger["methods"])


def test_everything_has_words_and_no_word_is_left_over() -> None:
    described = {name for name in SCHEMAS if not name.removeprefix("Problem").isdecimal()}
    members = {name: set(SCHEMAS[name]["properties"]) for name in described if "properties" in SCHEMAS[name]}

    assert openapi_words.SCHEMAS.keys() == described
    assert {name: set(words) for name, words in openapi_words.MEMBERS.items()} == members
    assert openapi_words.CODES.keys() == dict(all_codes()).keys()


@pytest.mark.parametrize(("code", "status"), list(all_codes()))
def test_every_code_is_possible_under_its_status_alone(code: str, status: int) -> None:
    under = {
        answered
        for answered in CANCEL["responses"]
        if answered != "200" and code in SCHEMAS[f"Problem{answered}"]["allOf"][1]["properties"]["code"]["enum"]
    }

    assert under == {str(status)}
    assert f"`{code}`" in CANCEL["responses"][str(status)]["description"]


@pytest.mark.parametrize("kind", CancelError.__subclasses__())
def test_a_problem_is_as_described(kind: type[CancelError]) -> None:
    for code, status in kind.codes.items():
        error = kind(code, "words", errors=[FieldError("/orderId", "is required")])
        bare = problem_body(error, ID, ID)
        full = problem_body(kind(code, "words", partner_center=PartnerCenterError("800063", None)), ID, ID)

        assert errors(f"Problem{status}", bare) == errors(f"Problem{status}", full) == []
        assert errors(f"Problem{status}", bare | {"more": 1})
        assert errors(f"Problem{status}", bare | {"retryable": not error.retryable})
        headers = CANCEL["responses"][str(status)]["headers"]
        assert ("Retry-After" in headers) is (error.retry_after_s is not None)


@pytest.mark.parametrize("example", openapi_words.REQUEST_EXAMPLES.values(), ids=str)
def test_the_requests_shown_are_requests(example: dict[str, Any]) -> None:
    assert CancelRequest.model_validate(example)
    assert errors("CancelRequest", example) == []


@pytest.mark.parametrize("example", openapi_words.RESULT_EXAMPLES.values(), ids=str)
def test_the_answers_shown_are_answers(example: dict[str, Any]) -> None:
    assert CancelResult.model_validate(example).model_dump(by_alias=True) == example
    assert errors("CancelResult", json.loads(json.dumps(example))) == []


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
        {"dryRun": None},
        {"dryRun": "true"},
        {"ticketId": "x" * 101},
        {"reason": "x" * 1_001},
        {"orderId": "short"},
        {"orderId": None},
        {"customerTenantId": "contoso.onmicrosoft.com"},
        {"more": 1},
    ],
    ids=str,
)
def test_what_the_model_refuses_the_schema_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="CancelRequest"):
        CancelRequest.model_validate(REQUEST | change)

    assert errors("CancelRequest", REQUEST | change)


@pytest.mark.parametrize("change", [{"ticketId": None}, {"reason": None}, {"reason": "x" * 1_000}], ids=str)
def test_what_the_model_takes_the_schema_takes(change: dict[str, Any]) -> None:
    assert CancelRequest.model_validate(REQUEST | change)
    assert errors("CancelRequest", REQUEST | change) == []
