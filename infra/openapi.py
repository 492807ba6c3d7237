"""Describes the functions in OpenAPI 3.1: `python -m infra.openapi` writes infra/openapi.json.

Schemas come from the pydantic models, statuses from the error tree. Only the texts, the problem, and the
answers of Azure's own host are written by hand. tests/unit/test_openapi.py compares the file with this
module, tests/e2e/test_openapi.py compares it with the live function.

Source: OpenAPI Specification 3.1.1, RFC 9457, RFC 7240; host answers as infra/local/functions/host.py gives them.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import SchemaValidator
from pydantic_core.core_schema import (
    BeforeValidatorFunctionSchema,
    DataclassField,
    ModelField,
    NullableSchema,
    TypedDictField,
    WithDefaultSchema,
)

from infra import openapi_texts
from infra.openapi_texts import Json
from shared.contract import CancelRequest, CancelResult, FindRequest, FindResult, OrderState
from shared.credentials.health import Health
from shared.errors import (
    RETRY_AFTER_MAX_S,
    RETRYABLE_STATUSES,
    FieldError,
    OurFault,
    PartnerCenterError,
    all_codes,
)
from shared.http_request import BODY_LIMIT_BYTES

FILE = Path(__file__).with_name("openapi.json")
PATH = "/api/cancel_order"
FIND_PATH = "/api/find_orders"
REFERENCE = "#/components/schemas/{model}"


class _Schema(GenerateJsonSchema):
    """Makes pydantic's schemas without invented titles, and without a null that the model's validator refuses."""

    def field_title_should_be_set(self, _schema: object) -> bool:
        return False

    def field_is_required(self, field: ModelField | DataclassField | TypedDictField, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)  # answers have every member

    def default_schema(self, schema: WithDefaultSchema) -> Json:
        # None means "left out"; the model may refuse a null that is sent. Answers leave nothing out.
        if schema.get("default") is None or self.mode == "serialization":
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def nullable_schema(self, schema: NullableSchema) -> Json:
        # Not `anyOf`: NSwag and Kiota make a class of that, and fail to read a text into it.
        inner = self.generate_inner(schema["schema"])
        if "type" in inner and "enum" not in inner:
            return inner | {"type": [inner["type"], "null"]}
        return _or_null(inner)

    def function_before_schema(self, schema: BeforeValidatorFunctionSchema) -> Json:
        inner = super().function_before_schema(schema)
        return _without_null(inner) if _refuses_null(schema) else inner


def _or_null(schema: Json) -> Json:
    return {"oneOf": [schema, {"type": "null"}]}


def _without_null(schema: Json) -> Json:
    match schema:
        case {"oneOf": [other, {"type": "null"}]}:
            return dict(other)
        case {"type": [other, "null"]}:
            return schema | {"type": other}
        case _:
            return schema


def _refuses_null(schema: BeforeValidatorFunctionSchema) -> bool:
    # Run only this validator, on a core schema that accepts any value.
    alone = SchemaValidator(schema | {"schema": {"type": "any"}})
    try:
        alone.validate_python(None)
    except ValidationError:
        return True
    return False


def document() -> Json:
    """Return the whole OpenAPI document."""
    return {
        "openapi": "3.1.1",
        "info": {"title": openapi_texts.TITLE, "version": "1.4.0", "description": openapi_texts.DESCRIPTION},
        "servers": [{"url": "https://{host}", "variables": {"host": {"default": "FUNCTION.azurewebsites.net"}}}],
        "paths": {PATH: {"post": _cancel(), "get": _health()}, FIND_PATH: {"get": _find()}},
        "components": {
            "schemas": _schemas(),
            "parameters": {
                name: {"name": name, "in": "header", "description": text, "schema": schema}
                for name, (text, schema) in openapi_texts.HEADERS.items()
            },
            "securitySchemes": openapi_texts.SECURITY_SCHEMES,
        },
    }


def _cancel() -> Json:
    return {
        "operationId": "cancelOrder",
        "summary": openapi_texts.CANCEL_SUMMARY,
        "description": openapi_texts.CANCEL_DESCRIPTION.format(limit=BODY_LIMIT_BYTES),
        "security": [{"functionKey": []}, *({"functionKey": [], **proof} for proof in openapi_texts.PROOFS)],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in openapi_texts.HEADERS],
        "requestBody": {
            "required": True,
            "content": {"application/json": _content("CancelRequest", openapi_texts.REQUEST_EXAMPLES)},
        },
        "responses": {
            "200": {
                "description": openapi_texts.CANCELLED,
                "headers": _ANSWER_HEADERS,
                "content": {"application/json": _content("CancelResult", openapi_texts.RESULT_EXAMPLES)},
            },
            **{str(status): _problem(status, codes) for status, codes in _codes().items()},
        },
    }


def _find() -> Json:
    codes = ((status, [code for code in own if code in openapi_texts.FIND_CODES]) for status, own in _codes().items())
    return {
        "operationId": "findOrders",
        "summary": openapi_texts.FIND_SUMMARY,
        "description": openapi_texts.FIND_DESCRIPTION,
        "security": [{"functionKey": []}, *({"functionKey": [], **proof} for proof in openapi_texts.FIND_PROOFS)],
        "parameters": [
            *_query_parameters(),
            *({"$ref": f"#/components/parameters/{name}"} for name in openapi_texts.FIND_HEADERS),
        ],
        "responses": {
            "200": {
                "description": openapi_texts.FOUND,
                "headers": _ANSWER_HEADERS,
                "content": {"application/json": _content("FindResult", openapi_texts.FIND_EXAMPLES)},
            },
            **{str(status): _problem(status, possible) for status, possible in codes if possible},
        },
    }


def _query_parameters() -> list[Json]:
    """Return the members of a FindRequest as parameters of a query, the customer first."""
    # A query has no null.
    properties = TypeAdapter(FindRequest).json_schema(schema_generator=_Schema)["properties"]
    return [
        {"name": name, "in": "query", "description": text, "schema": _without_null(properties[name])}
        for name, text in openapi_texts.QUERY.items()
    ]


def _health() -> Json:
    no_store = {"Cache-Control": _ANSWER_HEADERS["Cache-Control"]}
    report = {"headers": no_store, "content": {"application/json": {"schema": _reference("Health")}}}
    return {
        "operationId": "checkHealth",
        "summary": openapi_texts.HEALTH_SUMMARY,
        "description": openapi_texts.HEALTH_DESCRIPTION,
        "security": [{"functionKey": []}],
        "responses": {
            "200": {"description": openapi_texts.HEALTHY, **report},
            "401": {"description": openapi_texts.HOST_ANSWERS[401]},
            "429": {"description": openapi_texts.HOST_ANSWERS[429]},
            "500": _problem(500, OurFault.codes),
            "503": {"description": openapi_texts.UNHEALTHY, **report},
        },
    }


def _problem(status: int, codes: Iterable[str]) -> Json:
    host = openapi_texts.HOST_ANSWERS.get(status)
    listed = "\n".join(f"- `{code}`: {openapi_texts.meaning_of(code)}" for code in codes)
    schema = {"schema": _reference(f"Problem{status}")}
    return {
        "description": f"{listed}\n\n{host}" if host else listed,
        "headers": _ANSWER_HEADERS | (_RETRY_AFTER if status in RETRYABLE_STATUSES else {}),
        "content": {"application/json": schema, "application/problem+json": schema},
    }


def _problem_of(status: int, codes: Iterable[str]) -> Json:
    narrower = {
        "title": {"const": HTTPStatus(status).phrase},
        "status": {"const": status},
        "code": {"type": "string", "enum": list(codes)},
        "retryable": {"const": status in RETRYABLE_STATUSES},
    }
    return {"allOf": [_reference("Problem"), {"properties": narrower}]}


def _codes() -> dict[int, list[str]]:
    """Return the codes of each status, in the order of the statuses."""
    codes = defaultdict(list)
    for code, status in all_codes():
        codes[status].append(code)
    return dict(sorted(codes.items()))


def _reference(model: str) -> Json:
    return {"$ref": REFERENCE.format(model=model)}


def _content(model: str, examples: Json) -> Json:
    return {
        "schema": _reference(model),
        "examples": {name: {"value": value} for name, value in examples.items()},
    }


_ANSWER_HEADERS: Json = {
    "Preference-Applied": {"description": openapi_texts.PREFERENCE_APPLIED, "schema": {"type": "string"}},
    "Cache-Control": {"description": "Answers must not be cached.", "schema": {"const": "no-store"}},
}
_RETRY_AFTER: Json = {
    "Retry-After": {
        "description": openapi_texts.RETRY_AFTER,
        "schema": {"type": "integer", "minimum": 1, "maximum": RETRY_AFTER_MAX_S},
    }
}
# Not `oneOf`: generators make a class of each of its members. They leave these keywords alone; validators know them.
# No `allOf` either, so the condition for the customer stands in both branches of the one for the order.
_TENANT_OR_DOMAIN: Json = {
    "if": {"required": ["customerDomain"]},
    "then": {"properties": {"customerTenantId": {"type": "null"}}},
    "else": {"required": ["customerTenantId"], "properties": {"customerTenantId": {"type": "string"}}},
}
_ONE_OF_TWO_EACH: Json = {
    "if": {"required": ["subscriptionId"]},
    "then": {"properties": {"orderId": {"type": "null"}, "lineItems": False}} | _TENANT_OR_DOMAIN,
    "else": {"required": ["orderId"], "properties": {"orderId": {"type": "string"}}} | _TENANT_OR_DOMAIN,
}


def _schemas() -> Json:
    sent: JsonSchemaMode = "validation"
    answered: JsonSchemaMode = "serialization"
    inputs: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        ("request", sent, TypeAdapter(CancelRequest)),
        ("result", answered, TypeAdapter(CancelResult)),
        ("order", answered, TypeAdapter(OrderState)),
        ("orders", answered, TypeAdapter(FindResult)),
        ("field error", answered, TypeAdapter(FieldError)),
        ("Partner Center error", answered, TypeAdapter(PartnerCenterError)),
        ("health", answered, TypeAdapter(Health)),
    ]
    _, generated = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE, schema_generator=_Schema)
    schemas: Json = generated["$defs"] | {"Problem": _problem_schema()}
    for name, schema in schemas.items():
        schema["description"] = openapi_texts.SCHEMAS[name]
        if "properties" in schema:
            schema["additionalProperties"] = False
            for member, text in openapi_texts.MEMBERS[name].items():
                schema["properties"][member]["description"] = text
    schemas["CancelRequest"] |= _ONE_OF_TWO_EACH
    properties = schemas["CancelRequest"]["properties"]
    # The model has them in the order of its checks.
    first = ("customerTenantId", "customerDomain", "orderId", "subscriptionId")
    schemas["CancelRequest"]["properties"] = {name: properties[name] for name in first} | properties
    schemas |= {f"Problem{status}": _problem_of(status, codes) for status, codes in _codes().items()}
    return dict(sorted(schemas.items()))


def _problem_schema() -> Json:
    members: Json = {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri"},
        "code": {"type": "string", "enum": [code for code, _ in all_codes()]},
        "retryable": {"type": "boolean"},
        "errors": {"type": "array", "items": _reference("FieldError")},
        "partnerCenter": _or_null(_reference("PartnerCenterError")),
        "order": _or_null(_reference("OrderState")),
        "requestId": {"type": "string", "format": "uuid"},
        "correlationId": {"type": "string", "format": "uuid"},
    }
    return {"type": "object", "properties": members, "required": list(members)}


def text() -> str:
    """Return the content of infra/openapi.json."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
    print(FILE)
