"""The OpenAPI side of named queries: what may be asked, and what comes back."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from monitor.queries.named import LIMIT, OFFSET, NamedQuery, Parameter

ROWS_DEFAULT, ROWS_MAX = 1_000, 10_000
OFFSET_MAX = 1_000_000
IDENTIFIER_CHARACTERS_MAX = 256
Format = Literal["json", "csv", "arrow", "parquet"]
MEDIA_TYPES: dict[str, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}

_TEXT = {
    "direction", "detector", "signal", "step", "label", "truth", "top_label", "stage", "error_code", "error", "payload",
    "payload_base64", "severity", "slice", "slice_value", "decision", "correction",
    "consensus", "status", "option", "level", "longest_run_label", "rule", "state", "label_class", "summary",
    "figures", "action", "hooks", "hook", "kind", "row_version", "stream",
    "truth_standing",
}  # fmt: skip
_FLAGS = {"is_final", "is_unordered"}
_MAPS = {"posterior": "number", "attributes": "string"}
_ARRAYS = {
    "flags": {"type": "string"},
    "trend_labels": {"type": "integer"},
    "trend_accuracy": {"type": ["number", "null"]},
}
_MOMENT = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
_TIME_SUFFIXES = ("_at", "_start", "_end")


def column_schema(name: str, meaning: str) -> dict[str, Any]:
    """Return the JSON Schema of a column.

    >>> column_schema("is_final", "whether")["type"]
    'boolean'
    """
    if name in _ARRAYS:
        return {"type": "array", "items": _ARRAYS[name], "description": meaning}
    if name in _MAPS:
        return {"type": "object", "additionalProperties": {"type": _MAPS[name]}, "description": meaning}
    if name in _FLAGS:
        return {"type": "boolean", "description": meaning}
    if name.endswith(_TIME_SUFFIXES):
        return {"type": ["string", "null"], "format": "date-time", "description": meaning}
    if name in _TEXT or name.endswith("_id"):
        return {"type": ["string", "null"], "description": meaning}
    return {"type": ["number", "null"], "description": meaning}


def rows_schema(query: NamedQuery) -> dict[str, Any]:
    """Return the JSON Schema of an answer to a query."""
    properties = {name: column_schema(name, meaning) for name, meaning in query.columns.items()}
    row = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {
        "type": "object",
        "required": ["query", "rows", "next_offset"],
        "properties": {
            "query": {"const": query.name},
            "rows": {"type": "array", "items": row},
            "next_offset": {"type": ["integer", "null"], "description": "offset of the next page; null at the end"},
        },
    }


def parameters_model(query: NamedQuery) -> type[BaseModel]:
    """Return a model of what may be asked of a query; anything else is refused."""
    fields: dict[str, Any] = {
        name: _field(parameter) for name, parameter in query.parameters.items() if parameter not in (LIMIT, OFFSET)
    }
    fields["limit"] = (Annotated[int, Field(ge=1, le=ROWS_MAX, description="Most rows of this page.")], ROWS_DEFAULT)
    fields["offset"] = (Annotated[int, Field(ge=0, le=OFFSET_MAX, description="Rows before this page.")], 0)
    fields["format"] = (Annotated[Format, Field(description="Form of the rows.")], "json")
    name = "".join(word.capitalize() for word in query.name.split("-"))
    return create_model(f"{name}Parameters", __config__=ConfigDict(extra="forbid"), **fields)


def _field(parameter: Parameter) -> tuple[Any, Any]:
    description = parameter.meaning[0].upper() + parameter.meaning[1:] + "."
    if parameter.type == "UInt64":
        bounds = Field(ge=parameter.minimum, le=parameter.maximum, description=description)
        return Annotated[int, bounds], parameter.default
    if parameter.type == "String":
        return Annotated[str, Field(max_length=IDENTIFIER_CHARACTERS_MAX, description=description)], ""
    return Annotated[str | None, Field(max_length=64, description=description), WithJsonSchema(_MOMENT)], None
