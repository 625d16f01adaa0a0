"""The drift detectors of a project: what they are fed, in chunks that the log decides, and what they find."""

from collections.abc import Iterator

import msgspec
import numpy as np

from operators.rules.causes import RISE_WORDS, Evidence
from operators.rules.state import NEVER, DriftFinding
from operators.stats.drift.bank import Alarms, DetectorBank
from operators.stats.drift.class_use import CLASSES_MAX, ClassUseBank
from operators.stats.drift.consensus_evidence import ConsensusNoise
from operators.stats.drift.outcome import OutcomeBank
from operators.stats.drift.scouts import Scouts
from operators.stats.drift.speed import SpeedBank
from schemas.signals import DRIFTS

CHUNK = 512
"""Values of one signal and question that wait at most, unless scouts say that they are worth a look."""
MARK_EVERY, MARKS_MAX = 16, 16
LEARN_FIRST, LEARN_EVERY = 500, 20_000
CAPACITY_FIRST = 8
CLASSES_FIRST = 2


class SignalState(msgspec.Struct, array_like=True):
    """One signal of one question, for all annotators.

    Parameters
    ----------
    slots
        Row of each annotator in the bank.
    counts
        Values of each row.
    seen
        Time of the last value of each row.
    marks
        Time of every `MARK_EVERY`-th value of each row, the last `MARKS_MAX`.
    waiting, values, noise
        Row, value and noise of each that waits for the end of the chunk.
    classes
        Number of each class, for class use; the last number is shared by all that come late.
    table, population
        The bank, as of the last `ProjectDetectors.save`.
    """

    slots: dict[str, int] = {}
    counts: list[int] = []
    seen: list[int] = []
    marks: list[list[int]] = []
    waiting: list[int] = []
    values: list[float] = []
    noise: list[float] = []
    classes: dict[str, int] = {}
    total: int = 0
    learn_at: int = LEARN_FIRST
    table: bytes = b""
    population: list[float] | None = None


class DetectorState(msgspec.Struct, array_like=True):
    """The detectors of a project, by signal and question, and what is known of the others' answers, by question."""

    signals: dict[tuple[str, str], SignalState] = {}
    noise: dict[str, tuple[list[int], list[int]]] = {}


class ProjectDetectors:
    """The detectors of one project.

    Values are fed one by one, in log order, and reach the detectors at the end of a chunk: when it is full, when one of
    its values may complete the evidence for an alarm, and now and then by the project's clock. The fold calls `flush`
    at the event after which `is_due`, and `flush_all` where the clock says so. What is found depends on the log alone.

    Parameters
    ----------
    state
        What was remembered; changed in place, the tables of numbers by `save` only.
    false_alarms_per_million_judgements
        The promise.
    signals
        Those of ``schemas.signals.DRIFTS`` that anybody asks for; values of others are left out.
    """

    def __init__(
        self, state: DetectorState, *, false_alarms_per_million_judgements: float, signals: frozenset[str]
    ) -> None:
        self._state = state
        self._promise = false_alarms_per_million_judgements
        self._signals = signals
        self._banks = {key: self._loaded(key, held) for key, held in state.signals.items()}
        self._scouts = {key: self._scouts_of(key, held) for key, held in state.signals.items()}
        self._waits = {key for key, held in state.signals.items() if held.waiting}
        self._noise: dict[str, ConsensusNoise] = {}
        self._due: set[tuple[str, str]] = set()

    @property
    def is_due(self) -> bool:
        """Whether a chunk is at its end."""
        return bool(self._due)

    def judged(self, question_id: str, annotator_id: str, error: float, at: int, noise: float = 0.0) -> None:
        """Take in a label's first judgement: the share of error in [0, 1], turned round with probability `noise`."""
        self._add("accuracy", question_id, annotator_id, error, noise, at)

    def answered(self, question_id: str, annotator_id: str, label_class: str, at: int) -> None:
        """Take in the class of a new label."""
        if "class_use" in self._signals:
            key = ("class_use", question_id)
            held = self._of(key)
            number = held.classes.get(label_class)
            if number is None:
                number = held.classes[label_class] = min(len(held.classes), CLASSES_MAX - 1)
                self._scouts[key] = self._scouts_of(key, held)
            self._add("class_use", question_id, annotator_id, float(number), 0.0, at)

    def compared(self, question_id: str, annotator_id: str, disagreement: float, noise: float, at: int) -> None:
        """Take in whether a label disagrees with what others answered, who are wrong with probability `noise`."""
        self._add("agreement", question_id, annotator_id, disagreement, noise, at)

    def noise_of(self, question_id: str) -> ConsensusNoise:
        """Return how far what others answered may be trusted; what it learns is remembered."""
        found = self._noise.get(question_id)
        if found is None:
            found = self._noise[question_id] = ConsensusNoise(*self._state.noise.get(question_id, ()))
            self._state.noise[question_id] = (found.items, found.wrong)
        return found

    def timed(self, question_id: str, annotator_id: str, duration_ms: int, at: int) -> None:
        """Take in the duration of a new label; none is shorter than a millisecond."""
        self._add("speed", question_id, annotator_id, float(max(duration_ms, 1)), 0.0, at)

    def flush(self, at: int) -> list[tuple[str, str, DriftFinding]]:
        """Let the detectors take in the chunks that are at their end.

        Parameters
        ----------
        at
            Time of the event that ends them.

        Returns
        -------
        Question, annotator and finding of each alarm.
        """
        return self._flush(self._due, at)

    def flush_all(self, at: int) -> list[tuple[str, str, DriftFinding]]:
        """Let the detectors take in all that waits, at a tick of the project's clock; as `flush`."""
        return self._flush(self._waits, at)

    def evidence(self, signal: str, since: int) -> Evidence:
        """Return the present evidence of the annotators that were active since a time, over all questions."""
        evidence = Evidence([], [], [], [])
        for (of_signal, question_id), held in self._state.signals.items():
            if of_signal != signal:
                continue
            active = [(name, slot) for name, slot in held.slots.items() if held.seen[slot] >= since]
            if active:
                summary = self._banks[signal, question_id].summary([slot for _, slot in active])
                evidence.keys.extend((question_id, name) for name, _ in active)
                evidence.evidence.extend(summary.evidence.tolist())
                evidence.is_rise.extend(summary.is_rise.tolist())
                changed = zip(active, summary.changed_at.tolist(), strict=True)
                evidence.changed_at.extend(self._time_of(held, slot, number) for (_, slot), number in changed)
        return evidence

    def forget(self, question_id: str, annotator_id: str) -> None:
        """Begin anew with an annotator who is past the retention."""
        for signal in DRIFTS:
            held = self._state.signals.get((signal, question_id))
            slot = None if held is None else held.slots.get(annotator_id)
            if held is not None and slot is not None:
                kept = [place for place, waiting in enumerate(held.waiting) if waiting != slot]
                held.values, held.noise = [held.values[place] for place in kept], [held.noise[place] for place in kept]
                held.waiting = [held.waiting[place] for place in kept]
                held.counts[slot], held.seen[slot], held.marks[slot] = 0, NEVER, []
                self._banks[signal, question_id].forget([slot])
                self._scouts[signal, question_id].read([slot])

    def save(self) -> None:
        """Write the tables of numbers into the state, so that it can be encoded."""
        for key, bank in self._banks.items():
            held = self._state.signals[key]
            held.table = bank.to_bytes()
            held.population = None if bank.population is None else bank.population.tolist()

    def _add(self, signal: str, question_id: str, annotator_id: str, value: float, noise: float, at: int) -> None:
        if signal not in self._signals:
            return
        key = (signal, question_id)
        held = self._of(key)
        slot = held.slots.get(annotator_id)
        if slot is None:
            slot = held.slots[annotator_id] = len(held.slots)
            held.counts.append(0)
            held.seen.append(at)
            held.marks.append([])
            self._make_room(key, held)
        count = held.counts[slot]
        if not count % MARK_EVERY:
            held.marks[slot] = [*held.marks[slot], at][-MARKS_MAX:]
        held.counts[slot] = count + 1
        if at > held.seen[slot]:
            held.seen[slot] = at
        waiting = held.waiting
        if not waiting:
            self._waits.add(key)
        waiting.append(slot)
        held.values.append(value)
        held.noise.append(noise)
        if self._scouts[key].note(slot, value, noise) or len(waiting) >= CHUNK:
            self._due.add(key)

    def _of(self, key: tuple[str, str]) -> SignalState:
        held = self._state.signals.get(key)
        if held is None:
            held = self._state.signals[key] = SignalState()
            self._banks[key] = self._new(key[0])
            self._scouts[key] = self._scouts_of(key, held)
        return held

    def _flush(self, keys: set[tuple[str, str]], at: int) -> list[tuple[str, str, DriftFinding]]:
        found: list[tuple[str, str, DriftFinding]] = []
        for key in sorted(keys):
            found += self._take(key, at)
        self._waits -= keys
        self._due.clear()
        return found

    def _take(self, key: tuple[str, str], at: int) -> Iterator[tuple[str, str, DriftFinding]]:
        held, bank = self._state.signals[key], self._banks[key]
        if not held.waiting:
            return
        slots, values, noise = np.array(held.waiting), np.array(held.values), np.array(held.noise)
        waited = held.waiting
        held.waiting, held.values, held.noise = [], [], []
        if isinstance(bank, OutcomeBank):
            alarms = bank.update_many(slots, values, noise)
        else:
            alarms = bank.update_many(slots, values)
        self._scouts[key].read(dict.fromkeys(waited))
        self._learn(held, bank, len(slots))
        names = list(held.slots) if len(alarms) else []
        for place in range(len(alarms)):
            slot = int(alarms.slot[place])
            yield key[1], names[slot], self._finding(key[0], held, alarms, place, slot, at)

    def _finding(self, signal: str, held: SignalState, alarms: Alarms, place: int, slot: int, at: int) -> DriftFinding:
        changed_at, is_rise = int(alarms.changed_at[place]), bool(alarms.is_rise[place])
        names = [name for name, number in held.classes.items() if number == int(alarms.detail[place])]
        return DriftFinding(
            signal=signal,
            direction=RISE_WORDS[signal][is_rise],
            at=at,
            changed_at=min(self._time_of(held, slot, changed_at), at),
            before=float(alarms.before[place]),
            after=float(alarms.after[place]),
            judgements_after=int(alarms.judgement[place]) - changed_at + 1,
            evidence=float(alarms.evidence[place]),
            label_class=", ".join(names[:3]) if signal == "class_use" else "",
        )

    def _time_of(self, held: SignalState, slot: int, number: int) -> int:
        """Return the time of the mark before a row's value of that number (from 1), as far back as marks reach."""
        marks = held.marks[slot]
        if not marks:
            return max(held.seen[slot], 0)
        first = (held.counts[slot] - 1) // MARK_EVERY - len(marks) + 1
        return marks[min(max((number - 1) // MARK_EVERY - first, 0), len(marks) - 1)]

    def _learn(self, held: SignalState, bank: DetectorBank, values: int) -> None:
        held.total += values
        if held.total < held.learn_at:
            return
        held.learn_at = held.total + min(held.total, LEARN_EVERY)
        if isinstance(bank, OutcomeBank | ClassUseBank):
            bank.learn_from_baselines()

    def _make_room(self, key: tuple[str, str], held: SignalState) -> None:
        bank = self._banks[key]
        if bank.capacity < len(held.slots):
            bank.grow(max(2 * bank.capacity, len(held.slots)))
            self._scouts[key] = self._scouts_of(key, held)

    def _scouts_of(self, key: tuple[str, str], held: SignalState) -> Scouts:
        """Return scouts that have been told what waits, of a bank with room for all classes."""
        bank = self._banks[key]
        if isinstance(bank, ClassUseBank):
            bank.widen(min(max(len(held.classes), CLASSES_FIRST), CLASSES_MAX))
        scouts = Scouts(bank, chunk=CHUNK)
        for slot, value, noise in zip(held.waiting, held.values, held.noise, strict=True):
            scouts.note(slot, value, noise)
        return scouts

    def _new(self, signal: str, classes: int = CLASSES_FIRST) -> DetectorBank:
        if signal == "class_use":
            return ClassUseBank(
                capacity=CAPACITY_FIRST, classes=classes, false_alarms_per_million_judgements=self._promise
            )
        kind = SpeedBank if signal == "speed" else OutcomeBank
        return kind(capacity=CAPACITY_FIRST, false_alarms_per_million_judgements=self._promise)

    def _loaded(self, key: tuple[str, str], held: SignalState) -> DetectorBank:
        classes = CLASSES_FIRST
        if held.table and key[0] == "class_use":
            classes = ClassUseBank.classes_in(held.table)
        bank = self._new(key[0], classes)
        if held.table:
            bank.load_bytes(held.table)
        bank.grow(len(held.slots))
        if held.population is not None:
            bank.population = np.array(held.population)
        return bank
