"""Adapters on payloads that were tampered with: no exception but their own, and no event that is not whole."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.adapters.common import AdapterError, AdapterSettings
from schemas.adapters.registry import ADAPTERS, convert
from tests.support.tool_events import PAYLOADS, documents, require_sound

JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6),
        st.sampled_from((10**400, -1, 2**31, "a" * 300, "\ud800", "2026-01-05T09:00:00Z", "1e999", "0")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(("id", "value", "type", "label", "labels", "start", "end", "kind")), inner,
                        max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip
SETTINGS = st.sampled_from((
    AdapterSettings(),
    AdapterSettings(occurred_at="2026-01-05T09:00:00Z", item_id="object-1", attribute_keys=("source", "gold", "text")),
    AdapterSettings(occurred_at="2026-01-05T09:00:00Z", annotator_id="ann"),
    AdapterSettings(project_id="p", step="relabel", gold_key="gold"),
))  # fmt: skip


def bodies(tool: str) -> list[Any]:
    """Return the documents of a tool's example payloads; of captured requests the bodies."""
    found = [document for path in sorted((PAYLOADS / tool).iterdir()) for document in documents(path)]
    return [one["body"] if isinstance(one, dict) and "headers" in one else one for one in found]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all members of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(place for key, part in inner for place in places(part, (*path, key)))]


EXAMPLES = {tool: bodies(tool) for tool in ADAPTERS}


@st.composite
def tampered(draw: st.DrawFn, tool: str) -> Any:
    """Return an example payload with members exchanged or taken away."""
    document = deepcopy(draw(st.sampled_from(EXAMPLES[tool])))
    for _ in range(draw(st.integers(1, 4))):
        paths = places(document)
        if not paths:
            break
        *owners, key = draw(st.sampled_from(paths))
        owner = document
        for step in owners:
            owner = owner[step]
        if draw(st.booleans()):
            owner[key] = draw(JSON)
        else:
            del owner[key]
    return document


def require_no_surprise(tool: str, document: Any, chosen: AdapterSettings) -> None:
    """A document is converted, refused in part or whole, or an AdapterError; events are whole, and come out again."""
    before = deepcopy(document)
    try:
        outcomes = list(convert(tool, document, settings=chosen))
    except AdapterError as error:
        assert error.message.encode() and error.reason_code
        return
    require_sound(outcomes)
    assert outcomes == list(convert(tool, deepcopy(document), settings=chosen))
    assert repr(document) == repr(before)


@pytest.mark.parametrize("tool", ADAPTERS)
@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(data=st.data())
def test_tampered_payloads(tool: str, data: st.DataObject) -> None:
    """Payloads with wrong, missing or absurd members give whole events, refusals or the adapters' own error."""
    require_no_surprise(tool, data.draw(tampered(tool)), data.draw(SETTINGS))


@pytest.mark.parametrize("tool", ADAPTERS)
@settings(max_examples=60, deadline=None)
@given(document=JSON, chosen=SETTINGS)
def test_anything_at_all(tool: str, document: Any, chosen: AdapterSettings) -> None:
    """JSON that has nothing to do with the tool is refused, or an error with a reason."""
    require_no_surprise(tool, document, chosen)


@pytest.mark.parametrize("tool", ADAPTERS)
@pytest.mark.parametrize("other", ADAPTERS)
def test_payloads_of_another_tool(tool: str, other: str) -> None:
    """A payload sent to the wrong tool's address is no surprise either."""
    for document in EXAMPLES[other]:
        require_no_surprise(tool, document, AdapterSettings(occurred_at="2026-01-05T09:00:00Z"))
