"""What adapters share: times, revisions, ids, and telling webhooks from exports."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.adapters.answers import answer_of
from schemas.adapters.common import DEFAULTS, AdapterError, Question, Refusal, RefusalReason, RefusedError
from schemas.adapters.emitting import Emitter, Submission, digest
from schemas.adapters.reading import duration_ms_of, identifier, revision_of, time_of, timestamp_text, unix_time_of
from schemas.adapters.registry import Form, adapter_of, form_of, parts_of
from schemas.errors import ConfigurationError
from schemas.events import DURATION_MS_MAX, REVISION_MAX
from schemas.timestamps import microseconds

DAY = 24 * 3_600 * 1_000_000
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(moments, st.integers(-14, 14))
def test_times_are_read_in_any_zone_and_written_in_utc(moment: datetime, hours: int) -> None:
    """A moment keeps its microseconds through any spelling of it, with or without a zone."""
    at = microseconds(moment)
    elsewhere = moment + timedelta(hours=hours)
    spelled = elsewhere.replace(tzinfo=None).isoformat(timespec="microseconds") + f"{hours:+03d}:00"
    assert time_of(spelled, "at") == at
    assert time_of(moment.replace(tzinfo=None).isoformat(" "), "at") == at
    assert time_of(timestamp_text(at), "at") == at
    assert timestamp_text(at).endswith("Z")


@pytest.mark.parametrize(
    "value",
    [
        "", "2026-01-05", "20260105T090000", "2026-13-05T09:00:00Z", "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-10:00", 1767603600, True, None, ["2026-01-05T09:00:00Z"],
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(value: object) -> None:
    """Dates without time, numbers, impossible and unbelievable times raise the adapters' own error."""
    with pytest.raises(AdapterError):
        time_of(value, "at")


@pytest.mark.parametrize("value", [-1, 1e13, float("nan"), float("inf"), 10**400, "5", True, None])
def test_what_is_no_unix_time_is_refused(value: object) -> None:
    """Negative, endless and absurd numbers are no times; milliseconds taken for seconds are absurd."""
    with pytest.raises(AdapterError):
        unix_time_of(value, "at")


@given(st.integers(0, 60 * 365 * DAY), st.integers(0, 60 * 365 * DAY), moments)
def test_revisions_keep_the_order_of_changes(first: int, second: int, moment: datetime) -> None:
    """A later change never has the lower revision, and revisions fit their range, over sixty years."""
    created = microseconds(moment)
    revisions = [revision_of(created, created + elapsed) for elapsed in sorted((first, second))]
    assert 0 <= revisions[0] <= revisions[1] <= REVISION_MAX


@pytest.mark.parametrize(
    ("elapsed", "apart"),
    [(0, 1_000), (12 * DAY, 1_000), (100 * DAY, 100_000), (500 * DAY, 100_000), (5_000 * DAY, 10**6)],
)
def test_revisions_tell_changes_apart(elapsed: int, apart: int) -> None:
    """A millisecond apart in the first days, a tenth of a second in the first months, a second in the first years."""
    assert revision_of(0, elapsed) < revision_of(0, elapsed + apart)


def test_the_moment_of_creation_is_revision_zero() -> None:
    """Two stamps that one save made differ by microseconds: that is no change. Neither is a clock set back."""
    assert revision_of(100, 123) == revision_of(123, 100) == 0


@given(st.one_of(st.none(), st.booleans(), st.text(), st.integers(), st.floats()))
def test_durations_are_possible_or_not_told(seconds: object) -> None:
    """Whatever stands for a time spent becomes milliseconds of the contract's range, or nothing."""
    milliseconds = duration_ms_of(seconds)
    assert milliseconds is None or 0 <= milliseconds <= DURATION_MS_MAX


def test_ids_depend_on_what_they_stand_for_alone() -> None:
    """An id is the same in every process and version: this one was written down once."""
    assert digest("s", "label-studio", "7", "11", "sentiment", 1) == "sc2fd9c50f02cfc9d141db362"
    assert digest("s", "a", "bc") != digest("s", "ab", "c")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("yes", "categorical"), (True, "categorical"), (3, "categorical"), ("a\nb", "text"), ("a" * 300, "text"),
        (3.5, "text"), (["a", 1], "multi_label"), ([], "multi_label"), ({"a": True, "b": False}, "multi_label"),
        ({"label": "a"}, "categorical"), ({"labels": ["a"]}, "multi_label"),
        ([{"start": 0, "end": 3, "label": "A"}], "spans"), ([{"value": "a", "rank": 1}], "ranking"),
        ([{"left": 0.1, "top": 0.1, "width": 0.1, "height": 0.1}], "boxes"),
    ],
)  # fmt: skip
def test_answers_of_unknown_questions_are_told_by_their_look(value: object, kind: str) -> None:
    """Where nothing is known of a question, the form of its answer decides the kind of its label."""
    assert answer_of(value)["kind"] == kind


@pytest.mark.parametrize("value", [None, "", {"a": 1}, [{"a": 1}], [["a"]], float("nan"), 10**400])
def test_answers_that_look_like_nothing_are_refused(value: object) -> None:
    """What fits no kind is refused, and nothing else is raised."""
    with pytest.raises(RefusedError):
        answer_of(value)


def test_questions_of_unknown_kind_are_a_wrong_setting() -> None:
    """A kind that is misspelled is told to whoever set it."""
    with pytest.raises(ConfigurationError, match="catgorical"):
        Question(kind="catgorical")


@pytest.mark.parametrize(("value", "text"), [("w-é", "w-é"), (7, "7"), (-7, "-7"), ("a" * 256, "a" * 256)])
def test_ids_are_strings_or_whole_numbers(value: object, text: str) -> None:
    """An id is taken as it stands, in any script; a number as its digits."""
    assert identifier(value, "id") == text


@pytest.mark.parametrize("value", [None, "", "a" * 257, "é\ud800", 1.0, True, 2**64, [], {}])
def test_what_is_no_id_is_an_error(value: object) -> None:
    """Empty, endless and unwritable texts, broken numbers, truth values and structures name nobody."""
    with pytest.raises(AdapterError):
        identifier(value, "id")


@pytest.mark.parametrize("answers", [[], [("a", 1.5)], [("a", -0.1)], [("", 1.0)], [(str(n), 1.0) for n in range(65)]])
def test_known_answers_that_cannot_be_are_refused(answers: list[tuple[str, float]]) -> None:
    """None at all, too many, weights outside 0 to 1 and answers that are no labels give no event."""
    emitter = Emitter("tool", "p", None, DEFAULTS)
    labels = [({"kind": "categorical", "value": value}, weight) for value, weight in answers]
    refusal = emitter.gold("i", "q", labels, 0, origin="o")
    assert isinstance(refusal, Refusal)
    assert refusal.reason_code is RefusalReason.LABEL_INVALID


def test_questions_without_a_usable_name_are_refused() -> None:
    """A question whose name is no id can neither be answered nor skipped."""
    emitter = Emitter("tool", "p", None, DEFAULTS)
    submission = Submission(annotation_id="a", item_id="i", annotator_id="w", at=0)
    answer = {"kind": "categorical", "value": "a"}
    outcomes = emitter.submitted(submission, [("", answer)]) + emitter.skipped(submission, ["q" * 300])
    assert [outcome.reason_code for outcome in outcomes] == [RefusalReason.NO_QUESTION] * 2


def test_refusals_can_be_printed_whatever_they_are_about() -> None:
    """Half a character in a payload does not break the line that tells of it."""
    assert Refusal(RefusalReason.NO_LABEL, "\ud800").detail == "\\ud800"


@pytest.mark.parametrize(
    ("tool", "document", "form"),
    [
        ("label-studio", {"action": "ANNOTATION_CREATED"}, Form.WEBHOOK),
        ("label-studio", {"id": 1, "annotations": []}, Form.EXPORT),
        ("argilla", {"type": "response.created", "version": 1, "data": {}}, Form.WEBHOOK),
        ("argilla", {"id": "a", "responses": []}, Form.EXPORT),
        ("cvat", {"event": "update:job", "job": {}}, Form.WEBHOOK),
        ("cvat", {"job": {}, "annotations": {}}, Form.EXPORT),
        ("toloka", {"type": "POOL_CLOSED", "webhook_subscription_id": "w"}, Form.WEBHOOK),
        ("toloka", {"id": "a", "solutions": []}, Form.EXPORT),
        ("sagemaker", {"source-ref": "s3://a"}, Form.EXPORT),
        ("labelbox", {"id": "l", "label": "{}", "project": {}}, Form.WEBHOOK),
        ("labelbox", {"data_row": {}, "projects": {}}, Form.EXPORT),
        ("prodigy", {"answer": "accept"}, Form.EXPORT),
        ("prodigy", [], Form.EXPORT),
    ],
)
def test_webhooks_are_told_from_exports(tool: str, document: object, form: Form) -> None:
    """A document says by its members whether a tool sent it or exported it."""
    assert form_of(tool, document) is form


def test_files_hold_one_or_many() -> None:
    """A list, a page of an API and a captured request are opened; a record that has such members is left whole."""
    assert list(parts_of([{"a": 1}, {"headers": {}, "body": {"b": 2}}, 3])) == [{"a": 1}, {"b": 2}, 3]
    assert list(parts_of({"items": [{"a": 1}], "total": 1})) == [{"a": 1}]
    assert list(parts_of({"items": [1], "prompt": "rank them"})) == [{"items": [1], "prompt": "rank them"}]


def test_an_unknown_tool_is_named() -> None:
    """Asking for a tool without adapter says which there are."""
    with pytest.raises(ConfigurationError, match="labelstudyo") as caught:
        adapter_of("labelstudyo")
    assert "label-studio" in caught.value.remedy
