"""Reasons: from what a reader of the contract complains about to the bounded set of reason codes."""

import json

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import ErrorCode

DETAIL_CHARACTERS_MAX = 300

_BY_PYDANTIC_TYPE = {
    "missing": ErrorCode.MISSING_FIELD,
    "timestamp_naive": ErrorCode.TIMESTAMP_NAIVE,
    "timezone_aware": ErrorCode.TIMESTAMP_NAIVE,
    "timestamp_format": ErrorCode.TIMESTAMP_INVALID,
    "union_tag_not_found": ErrorCode.MISSING_FIELD,
    "union_tag_invalid": ErrorCode.UNKNOWN_TYPE,
    "model_type": ErrorCode.NOT_AN_OBJECT,
    "dict_type": ErrorCode.NOT_AN_OBJECT,
    "model_attributes_type": ErrorCode.NOT_AN_OBJECT,
}


def reason_of(error: ValidationError, payload: bytes) -> tuple[ErrorCode, str]:
    """Return the reason code of a refused payload, and a line that says what is wrong and where.

    An unknown version comes before all else that is wrong, since a newer contract may explain the rest.
    """
    details = error.errors(include_url=False, include_context=False)
    first = next((detail for detail in details if detail["loc"][-1:] == ("schema_version",)), details[0])
    return _code_of(first, payload), _sentence_of(first)


def _code_of(detail: ErrorDetails, payload: bytes) -> ErrorCode:
    kind, location = detail["type"], detail["loc"]
    if kind == "json_invalid":
        return _code_of_invalid_json(detail["msg"], payload)
    if location[-1:] == ("schema_version",):
        return ErrorCode.UNKNOWN_VERSION
    if kind == "union_tag_not_found" and not location and not _is_object(payload):
        return ErrorCode.NOT_AN_OBJECT
    if kind == "union_tag_invalid" and location:
        return ErrorCode.UNKNOWN_LABEL_KIND
    if kind in ("model_type", "dict_type", "model_attributes_type") and location:
        return ErrorCode.WRONG_TYPE
    if kind in _BY_PYDANTIC_TYPE:
        return _BY_PYDANTIC_TYPE[kind]
    return ErrorCode.WRONG_TYPE if kind.endswith("_type") else ErrorCode.INVALID_VALUE


def _code_of_invalid_json(message: str, payload: bytes) -> ErrorCode:
    if "recursion limit" in message:
        return ErrorCode.TOO_DEEP
    try:
        payload.decode()
    except UnicodeDecodeError:
        return ErrorCode.NOT_UTF8
    return ErrorCode.NOT_JSON


def _is_object(payload: bytes) -> bool:
    try:
        return isinstance(json.loads(payload), dict)
    except (ValueError, RecursionError):
        return False


def _sentence_of(detail: ErrorDetails) -> str:
    location, message = detail["loc"][1:], detail["msg"]
    if detail["type"] == "union_tag_not_found":
        location, message = (*location, "kind" if detail["loc"] else "type"), "Field required"
    place = ".".join(str(part) for part in location)
    return f"{place}: {message}"[:DETAIL_CHARACTERS_MAX] if place else message[:DETAIL_CHARACTERS_MAX]
