"""The agreement on one question as the project's fold drives it: over all time, in windows, and of pairs of annotators.

Of several labels that one person gave an item, the latest counts. An item belongs to the window in which its first
label in log order was given.
"""

from operators.labels import compare_contents, is_class
from operators.project.memory import Memory
from operators.project.state import AgreementPart, ItemRecord, LabelRecord, QuestionRecord, Vote
from operators.project.touched import Touched
from operators.stats.agreement.agreement import Agreement
from operators.stats.agreement.pairs import SHARED_MIN, PairAgreement

WINDOW_GROUPS = 16
"""Parts of the items behind the intervals of a window, fewer than over all time: there are many windows."""


def level_of(label: LabelRecord, kind: str) -> str:
    """Return the level of measurement of a question's labels, after its first one."""
    if kind == "rating":
        return "ordinal" if is_class(kind, label.content) else "interval"
    return "nominal" if is_class(kind, label.content) else "distance"


def distance(first: str | float, second: str | float) -> float:
    """Return how little two answers agree, given as contents, in [0, 1]."""
    return 1.0 - compare_contents(str(first), str(second))


def agree(
    label: LabelRecord, question: QuestionRecord, memory: Memory, touched: Touched, version: int, *, is_leaving: bool
) -> None:
    """Let a label that has come to its item count, or no longer one that is about to leave it."""
    item = question.items[label.item_id]
    others = dict(item.votes or {})
    before = others.pop(label.annotator_id, None)
    after = _latest(label, item, question, is_leaving=is_leaving)
    if before == after:
        return
    if not item.votes:
        item.votes_window = memory.window_of(question, label.first_at).start
    if question.agreement is None:
        level = level_of(label, question.kind or "")
        question.agreement = AgreementPart(Agreement(level=level))
        question.pairs = PairAgreement() if level == "nominal" else None
    parts = [question.agreement]
    window = question.windows.get(item.votes_window)
    if window is not None and window.start + memory.window > memory.horizon:
        if window.agreement is None:
            level = question.agreement.figures.level
            window.agreement = AgreementPart(Agreement(level=level, groups=WINDOW_GROUPS))
        parts.append(window.agreement)
        if not window.agreement.is_dirty:
            window.agreement.is_dirty = True
            touched.agreement_windows.append((question, window))
    if not question.agreement.is_dirty:
        question.agreement.is_dirty = True
        touched.agreement.append(question)
    for part in parts:
        part.version = version
        part.figures.change(
            item.item_id, label.annotator_id, others, before=before, after=after,
            distance=distance if part.figures.level == "distance" else None,
        )  # fmt: skip
    if question.pairs is not None:
        _change_pairs(question, label.annotator_id, others, before, after, touched, version)
    item.votes = others if after is None else {**others, label.annotator_id: after}


def _latest(label: LabelRecord, item: ItemRecord, question: QuestionRecord, *, is_leaving: bool) -> Vote | None:
    """Return what the annotator's latest label of the item says, without a label that is leaving."""
    own = [
        other
        for other in item.labels
        if other.annotator_id == label.annotator_id and not (is_leaving and other is label)
    ]
    if not own:
        return None
    latest = max(reversed(own), key=lambda other: other.occurred_at)
    if latest.content is None or question.kind == "preference":
        return latest.value
    return float(latest.value) if question.kind == "rating" else latest.content


def _change_pairs(
    question: QuestionRecord, annotator_id: str, others: dict, before: Vote | None, after: Vote | None,
    touched: Touched, version: int,
) -> None:  # fmt: skip
    pairs = question.pairs
    assert pairs is not None
    counted = list(pairs.pairs) if len(pairs.pairs) >= pairs.pairs_max else ()
    pairs.change(annotator_id, others, before=before, after=after)
    for other_id in others:
        pair = (annotator_id, other_id) if annotator_id < other_id else (other_id, annotator_id)
        if pairs.shared_items(*pair) >= SHARED_MIN - 1:
            touched.pairs[question.question_id, *pair] = version
    for pair in counted:
        if pair not in pairs.pairs:
            touched.pairs[question.question_id, *pair] = version
