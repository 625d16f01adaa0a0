"""The fold of what is known of an item's answer: gold, its withdrawal, an expert's decision."""

from operators.events import AcceptedAnswer, Adjudicated, Gold, Withdrawn
from operators.labels import OtherLabel
from operators.project.changes import Changes
from operators.project.outcomes import DUPLICATE, FOLDED, Outcome
from operators.project.standing import ADJUDICATION, GOLD
from operators.project.state import CREDIT_UNITS, Adjudication, GoldWord, ItemRecord, QuestionRecord, Truth
from operators.project.workflow import count_step, count_work, waiting_ms
from schemas.errors import ErrorCode
from schemas.events import GOLD_ORIGIN


def fold_gold(changes: Changes, event: Gold, at: int, version: int) -> Outcome:
    """Hold accepted answers against the labels of an item."""
    question = changes.memory.question_of(event.question_id)
    refusal = _refusal_of(changes, question, event.item_id, at, [answer.label for answer in event.answers])
    if refusal is not None:
        return refusal
    if changes.memory.is_seen(event.event_id):
        return DUPLICATE
    item = changes.memory.item_of(question, event.item_id, at)
    hear_gold(changes, item, question, event.origin, event.answers, at, version)
    return FOLDED


def hear_gold(
    changes: Changes,
    item: ItemRecord,
    question: QuestionRecord,
    origin: str,
    answers: list[AcceptedAnswer],
    at: int,
    version: int,
) -> None:
    """Let what an origin says of an item's gold count, unless a newer word is known; no answers withdraw it."""
    words = _gold_words(item)
    before = next((word for word in words if word.origin == origin), None)
    if at < item.gold_at or (before is not None and at < before.occurred_at):
        return
    truth = _truth_of(answers, at, GOLD) if answers else None
    item.gold_words = [*(word for word in words if word is not before), GoldWord(origin, at, truth)]
    _hold_newest_gold(changes, item, question, at, version)


def _withdraw_all_gold(changes: Changes, item: ItemRecord, question: QuestionRecord, at: int, version: int) -> None:
    if at < item.gold_at:
        return
    item.gold_words = [word for word in _gold_words(item) if word.occurred_at > at] or None
    item.gold_at = at
    _hold_newest_gold(changes, item, question, at, version)


def _gold_words(item: ItemRecord) -> list[GoldWord]:
    if item.gold_words is None and item.gold is not None:  # as snapshots held it that knew of no origins
        return [GoldWord(GOLD_ORIGIN, item.gold.occurred_at, item.gold)]
    return item.gold_words or []


def _hold_newest_gold(changes: Changes, item: ItemRecord, question: QuestionRecord, at: int, version: int) -> None:
    """Let the newest word that is not withdrawn be in force; of equal times, the later in the log."""
    told = [word for word in item.gold_words or () if word.truth is not None]
    newest = max(reversed(told), key=lambda word: word.occurred_at, default=None)
    item.gold = None if newest is None else newest.truth
    changes.hold_known_answer(item, question, at, version)


def fold_withdrawal(changes: Changes, event: Withdrawn, at: int, version: int) -> Outcome:
    """Hold an item's gold to be known no longer: that of one origin, or of all."""
    question = changes.memory.question_of(event.question_id)
    refusal = _refusal_of(changes, question, event.item_id, at, [])
    if refusal is not None:
        return refusal
    if changes.memory.is_seen(event.event_id):
        return DUPLICATE
    item = changes.memory.item_of(question, event.item_id, at)
    if event.origin is None:
        _withdraw_all_gold(changes, item, question, at, version)
    else:
        hear_gold(changes, item, question, event.origin, [], at, version)
    return FOLDED


def fold_adjudication(changes: Changes, event: Adjudicated, at: int, version: int) -> Outcome:
    """Hold an expert's answer against the labels of an item, above all other known answers."""
    question = changes.memory.question_of(event.question_id)
    refusal = _refusal_of(changes, question, event.item_id, at, [event.label])
    if refusal is not None:
        return refusal
    if changes.memory.is_seen(event.event_id):
        return DUPLICATE
    item = changes.memory.item_of(question, event.item_id, at)
    if item.adjudicated is not None:
        if at < item.adjudicated.occurred_at:
            return FOLDED
        _count_adjudication(changes, -1, item.adjudicated, question, version)
    in_force = [label for label in item.labels if label.first_at >= changes.memory.horizon]
    worked_at = max((label.occurred_at for label in in_force), default=None)
    waited = waiting_ms(worked_at, at) if worked_at is not None else None
    item.adjudicated = Adjudication(event.adjudicator_id, event.step, at, event.duration_ms, waited)
    item.adjudication = _truth_of([AcceptedAnswer(label=event.label)], at, ADJUDICATION)
    _count_adjudication(changes, 1, item.adjudicated, question, version)
    changes.hold_known_answer(item, question, at, version)
    return FOLDED


def _count_adjudication(
    changes: Changes, sign: int, work: Adjudication, question: QuestionRecord, version: int
) -> None:
    if work.occurred_at < changes.memory.horizon:
        return
    window = changes.memory.window_of(question, work.occurred_at)
    counts = count_step(question, window, work.step, changes.touched, version)
    count_work(counts, sign, work.duration_ms, work.waiting_ms)


def _refusal_of(changes: Changes, question: QuestionRecord, item_id: str, at: int, answers: list) -> ErrorCode | None:
    memory, item = changes.memory, changes.memory.find_item(question, item_id)
    if at < memory.horizon and (item is None or item.last_at < memory.horizon):
        return ErrorCode.LATE
    refusals = (memory.refusal_of(question, answer) for answer in answers)
    return next((refusal for refusal in refusals if refusal is not None), None)


def _truth_of(answers: list[AcceptedAnswer], at: int, standing: int) -> Truth:
    credits: dict[str, int] = {}
    contents: dict[str, str] = {}
    for answer in answers:
        credit, value = round(answer.weight * CREDIT_UNITS), answer.label.value
        credits[value] = max(credit, credits.get(value, 0))
        if isinstance(answer.label, OtherLabel):
            contents[value] = answer.label.content
    primary = max(credits, key=lambda value: credits[value])
    return Truth(credits, primary, at, standing, contents or None)
