"""The adapters by tool, and what a file of a tool holds: webhook bodies or exported records, one or many."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.adapters import argilla, cvat, label_studio, labelbox, prodigy, sagemaker, toloka
from schemas.adapters.common import DEFAULTS, AdapterSettings, Outcome
from schemas.adapters.reading import timestamp_text, unix_time_of
from schemas.errors import ConfigurationError


class Form(StrEnum):
    """What a document of a tool is."""

    WEBHOOK = "webhook"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Adapter:
    """What converts a tool's payloads.

    Parameters
    ----------
    tool
        Name of the tool.
    webhook_events, export_events
        See `schemas.adapters.common`.
    is_webhook
        Tells a webhook's body from an exported record.
    """

    tool: str
    webhook_events: Callable[..., list[Outcome]]
    export_events: Callable[..., list[Outcome]]
    is_webhook: Callable[[dict[str, Any]], bool]


def _has(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda document: all(name in document for name in names)


def _is_toloka_webhook(document: dict[str, Any]) -> bool:
    return "webhook_subscription_id" in document or "event_type" in document or "events" in document


def _is_labelbox_webhook(document: dict[str, Any]) -> bool:
    return ("data_row" not in document and "DataRow ID" not in document) or "label" in document


def _never(document: dict[str, Any]) -> bool:
    return False


ADAPTERS: dict[str, Adapter] = {
    adapter.tool: adapter
    for adapter in (
        Adapter(label_studio.TOOL, label_studio.webhook_events, label_studio.export_events, _has("action")),
        Adapter(argilla.TOOL, argilla.webhook_events, argilla.export_events, _has("type", "data")),
        Adapter(cvat.TOOL, cvat.webhook_events, cvat.export_events, _has("event")),
        Adapter(toloka.TOOL, toloka.webhook_events, toloka.export_events, _is_toloka_webhook),
        Adapter(sagemaker.TOOL, sagemaker.webhook_events, sagemaker.export_events, _never),
        Adapter(labelbox.TOOL, labelbox.webhook_events, labelbox.export_events, _is_labelbox_webhook),
        Adapter(prodigy.TOOL, prodigy.webhook_events, prodigy.export_events, _never),
    )
}
ALIASES = {"sagemaker-ground-truth": sagemaker.TOOL, "labelstudio": label_studio.TOOL}

_PAGES = ("items", "results", "tasks")
_PAGE_MEMBERS = frozenset({"total", "count", "has_more", "next", "previous", "dataset", *_PAGES})


def adapter_of(tool: str) -> Adapter:
    """Return the adapter of a tool.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    adapter = ADAPTERS.get(ALIASES.get(tool, tool))
    if adapter is None:
        raise ConfigurationError(f"no tool is called {tool!r}", remedy=f"use one of {', '.join(ADAPTERS)}")
    return adapter


def form_of(tool: str, document: object) -> Form:
    """Return whether a document of a tool is a webhook's body or a record of an export.

    Parameters
    ----------
    document
        What `parts_of` yields: neither a list nor a captured request.

    Examples
    --------
    >>> form_of("label-studio", {"action": "ANNOTATION_CREATED"}).value
    'webhook'
    """
    is_webhook = type(document) is dict and adapter_of(tool).is_webhook(document)
    return Form.WEBHOOK if is_webhook else Form.EXPORT


def parts_of(document: object) -> Iterator[object]:
    """Yield the webhook bodies or records that a file, or a line of one, holds.

    A list holds one in each place, and so does a page of an API (``items``, ``results`` or ``tasks`` beside nothing but
    totals and links). A captured request, which has ``headers`` beside its ``body``, holds its body.

    Examples
    --------
    >>> list(parts_of([{"body": {"action": "PROJECT_CREATED"}, "headers": {}}, {"id": 1}]))
    [{'action': 'PROJECT_CREATED'}, {'id': 1}]
    """
    if type(document) is list:
        for part in document:
            yield from parts_of(part) if type(part) is dict else (part,)
    elif type(document) is dict and "headers" in document and type(document.get("body")) is dict:
        yield document["body"]
    elif type(document) is dict and (page := _page_of(document)) is not None:
        dataset = {"dataset": document["dataset"]} if "dataset" in document else {}
        for part in page:
            yield {**dataset, **part} if type(part) is dict else part
    else:
        yield document


def _captured_at(document: object) -> str | None:
    if type(document) is not dict or "headers" not in document or type(document.get("body")) is not dict:
        return None
    stamp = document.get("received")
    return None if stamp is None else timestamp_text(unix_time_of(stamp, "received"))


def _page_of(document: dict[str, Any]) -> list[Any] | None:
    if not document.keys() <= _PAGE_MEMBERS:
        return None
    return next((document[name] for name in _PAGES if type(document.get(name)) is list), None)


def convert(
    tool: str, document: object, *, received_at: str | None = None, settings: AdapterSettings = DEFAULTS
) -> Iterator[Outcome]:
    """Yield the outcomes of all that a document of a tool holds, whichever form it has.

    Parameters
    ----------
    tool
        Name of the tool.
    document
        A whole file or one of its lines, parsed.
    received_at, settings
        See `schemas.adapters.common`; for files, ``settings.occurred_at`` is the time of what tells none. Captured
        requests tell when they came (``received``, unix seconds).

    Raises
    ------
    AdapterError
        If a part of it is no payload of the tool.
    ConfigurationError
        If there is no such tool.
    """
    adapter = adapter_of(tool)
    if received_at is None:
        received_at = _captured_at(document)
    for part in parts_of(document):
        if form_of(tool, part) is Form.WEBHOOK:
            yield from adapter.webhook_events(part, received_at=received_at, settings=settings)
        else:
            yield from adapter.export_events(part, received_at=received_at, settings=settings)
