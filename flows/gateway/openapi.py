"""The gateway's OpenAPI document."""

import json
from collections.abc import Sequence
from typing import Any

from schemas.events import event_json_schema

API_VERSION = "1"
JSON_TYPE = "application/json"
ERRORS = {
    "400": "The body is not JSON, not UTF-8, empty, cut short, or not of its encoding.",
    "401": "The secret or signature is missing, wrong, or too old.",
    "403": "No secret is set for this source.",
    "404": "No tool or source has this name.",
    "405": "Events are sent by POST.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large, or holds too many events.",
    "415": "The body's encoding is not gzip.",
    "422": "The body is JSON, and nothing in it could become an event.",
    "429": "Too many requests; Retry-After says when to come back.",
    "503": "Events cannot be made durable now; Retry-After says when to try again.",
}


def openapi_bytes(sources: Sequence[str]) -> bytes:
    """Return the OpenAPI 3.1 document, as JSON.

    Parameters
    ----------
    sources
        Names of the sources of webhooks.
    """
    return json.dumps(openapi_document(sources), ensure_ascii=False).encode()


def openapi_document(sources: Sequence[str]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document; see `openapi_bytes`."""
    schema = event_json_schema()
    definitions = schema.pop("$defs", {})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "labelpulse gateway",
            "version": API_VERSION,
            "description": "Takes annotation tools' webhooks and native events; answers once they are durable.",
        },
        "paths": {
            "/v1/ingest/{source}": {"post": _ingest(sources)},
            "/v1/events": {"post": _events()},
            "/healthz": {"get": _page("The process answers.")},
            "/readyz": {"get": {**_page("Events can be made durable."), **_not_ready()}},
            "/metrics": {"get": _page("Figures in the text format of Prometheus.", "text/plain")},
            "/openapi.json": {"get": _page("This document.")},
        },
        "components": {
            "schemas": {
                **{name: _relocated(definition) for name, definition in definitions.items()},
                "Event": _relocated({name: schema[name] for name in schema if not name.startswith("$")}),
                "Taken": _taken(),
                "Error": _error(),
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "token": {"type": "apiKey", "in": "header", "name": "X-Labelpulse-Token"},
                "standardWebhooks": {"type": "apiKey", "in": "header", "name": "webhook-signature"},
                "cvat": {"type": "apiKey", "in": "header", "name": "X-Signature-256"},
                "labelbox": {"type": "apiKey", "in": "header", "name": "X-Hub-Signature"},
                "toloka": {"type": "apiKey", "in": "header", "name": "Toloka-Signature"},
            },
        },
    }


def _ingest(sources: Sequence[str]) -> dict[str, Any]:
    name = {"name": "source", "in": "path", "required": True, "schema": {"type": "string", "enum": list(sources)}}
    schemes = ("bearer", "token", "standardWebhooks", "cvat", "labelbox", "toloka")
    return {
        "summary": "Take a webhook of an annotation tool.",
        "operationId": "ingest",
        "parameters": [name],
        "requestBody": {"required": True, "content": {JSON_TYPE: {"schema": {}}}},
        "security": [{scheme: []} for scheme in schemes],
        "responses": _responses(),
    }


def _events() -> dict[str, Any]:
    event = {"$ref": "#/components/schemas/Event"}
    one_or_many = {"oneOf": [event, {"type": "array", "items": event}]}
    content = {JSON_TYPE: {"schema": one_or_many}, "application/x-ndjson": {"schema": {"type": "string"}}}
    return {
        "summary": "Take events of the contract: one, an array, or JSON lines.",
        "operationId": "events",
        "requestBody": {"required": True, "content": content},
        "security": [{"bearer": []}, {"token": []}],
        "responses": _responses(),
    }


def _responses() -> dict[str, Any]:
    taken = {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Taken"}}}
    error = {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "All events are durable; what tells of no label was ignored.", "content": taken},
        "207": {"description": "Some events are durable, others were rejected.", "content": taken},
        **{status: {"description": text, "content": error} for status, text in ERRORS.items()},
    }


def _page(description: str, media_type: str = JSON_TYPE) -> dict[str, Any]:
    return {"summary": description, "responses": {"200": {"description": description, "content": {media_type: {}}}}}


def _not_ready() -> dict[str, Any]:
    responses = _page("Events can be made durable.")["responses"]
    return {"responses": {**responses, "503": {"description": "They cannot."}}}


def _taken() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    entry = {
        "type": "object",
        "required": ["reason", "detail"],
        "properties": {
            "index": {**count, "description": "Place of a native event in the request, from 0."},
            "reason": {"type": "string"},
            "detail": {"type": "string"},
        },
    }
    entries = {"type": "array", "items": entry, "description": "The first thousand."}
    return {
        "type": "object",
        "required": ["accepted"],
        "properties": {
            "accepted": {**count, "description": "Events that are durable now."},
            "ignored": entries,
            "ignored_total": count,
            "rejected": entries,
            "rejected_total": count,
        },
    }


def _error() -> dict[str, Any]:
    text = {"type": "string"}
    error = {"type": "object", "required": ["reason", "detail"], "properties": {"reason": text, "detail": text}}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}


def _relocated(definition: Any) -> Any:
    """Return a part of a JSON Schema with its references pointing into the document's components."""
    if isinstance(definition, dict):
        return {name: _relocated(value) for name, value in definition.items()}
    if isinstance(definition, list):
        return [_relocated(value) for value in definition]
    if isinstance(definition, str) and definition.startswith("#/$defs/"):
        return definition.replace("#/$defs/", "#/components/schemas/")
    return definition
