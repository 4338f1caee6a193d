"""The OpenAPI 3.1 document of a route table."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from livecalc import __version__
from livecalc.api.route import Answer, Body, Route
from livecalc.wire import media
from livecalc.wire.problems import CONTENT_TYPE, Problem

_PATH_PARAMETER = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{name}"
_EVERYWHERE = {422: "The request is not valid.", 500: "The server failed, or stored data is damaged."}
_GUARDED = {401: "There is no token, or it does not verify.", 503: "A part that this needs does not answer."}

Json = dict[str, Any]


def document(routes: Sequence[Route]) -> Json:
    """Make the document."""
    bodies = _bodies(routes)
    schemas, components = msgspec.json.schema_components(bodies, ref_template=_REF)
    by_type = dict(zip(map(repr, bodies), schemas, strict=True))
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LiveCalc Platform",
            "version": __version__,
            "description": "Actuarial models at scale that leave nothing behind. Errors are RFC 9457 problems.",
        },
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _bodies(routes: Sequence[Route]) -> list[Any]:
    found: list[Any] = [Problem]
    for route in routes:
        found += [answer.body for answer in route.answers.values() if answer.body is not None]
        if route.body is not None and route.body.type is not None:
            found.append(route.body.type)
    return list({repr(kind): kind for kind in found}.values())


def _operation(route: Route, schemas: dict[str, Json]) -> Json:
    operation: Json = {
        "operationId": route.endpoint.__name__,
        "summary": route.summary,
        "tags": [route.topic],
        "parameters": _path_parameters(route) + _query_parameters(route.query),
        "responses": _responses(route, schemas),
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "description": route.body.description,
            "content": {route.body.media_type: {"schema": _body(route.body, schemas)}},
        }
    if route.public:
        operation["security"] = []
    return operation


def _body(body: Body, schemas: dict[str, Json]) -> Json:
    if body.type is None:
        return {}
    fields = schemas[repr(body.type)]
    if not body.file:
        return fields
    return {"allOf": [fields], "properties": {body.file: {"contentMediaType": media.BUNDLE}}}


def _path_parameters(route: Route) -> list[Json]:
    names = _PATH_PARAMETER.findall(route.template)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(query: type[Struct]) -> list[Json]:
    schemas, components = msgspec.json.schema_components([query], ref_template=_REF)
    del schemas
    parameters: list[Json] = []
    own = components[query.__name__]
    for name, schema in own["properties"].items():
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": name in own.get("required", []),
                "description": _description(schema),
                "schema": _inline(schema, components),
            }
        )
    return parameters


def _description(schema: Json) -> str:
    texts: list[str] = [each.get("description", "") for each in (schema, *schema.get("anyOf", []))]
    return next((text for text in texts if text), "")


def _inline(schema: Json, components: Json) -> Json:
    """Put an enumeration in place of its name: nothing else refers to it. A query is never null."""
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    choices = [_inline(each, components) for each in schema.get("anyOf", []) if each.get("type") != "null"]
    return choices[0] if len(choices) == 1 else {k: v for k, v in schema.items() if v is not None}


def _responses(route: Route, schemas: dict[str, Json]) -> Json:
    responses: Json = {}
    for status, answer in route.answers.items():
        responses[str(status)] = _response(answer, schemas)
    for status, text in _problems(route).items():
        schema = {"schema": schemas[repr(Problem)]}
        responses[str(status)] = {"description": text, "content": {CONTENT_TYPE: schema}}
    return responses


def _problems(route: Route) -> dict[int, str]:
    general = {500: _EVERYWHERE[500]} if route.public else _EVERYWHERE | _GUARDED
    return dict(sorted((general | dict(route.problems)).items()))


def _response(answer: Answer, schemas: dict[str, Json]) -> Json:
    response: Json = {"description": answer.description}
    if answer.media_types:
        response["content"] = {
            kind: {"schema": schemas[repr(answer.body)]} if answer.body is not None and "json" in kind else {}
            for kind in answer.media_types
        }
    return response


def statuses(route: Route) -> frozenset[int]:
    """Every status that the document says a route may answer."""
    return frozenset(route.answers) | frozenset(_problems(route))


def phrase(status: int) -> str:
    """A status as people read it: `404 Not Found`."""
    return f"{status} {HTTPStatus(status).phrase}"
