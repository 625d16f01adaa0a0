"""The consensus of one question as the project's fold drives it.

Events reach the models in log order. Plain labels are gathered and handed over together, at the latest where a chunk of
the model ends, so that what changed there is known with the record of the log that changed it.
"""

from typing import TYPE_CHECKING, Any

from operators.labels import content_of
from operators.stats.accuracy.lesser_evidence import Calibration
from operators.stats.consensus.categorical import CategoricalConsensus
from operators.stats.consensus.others import FAILED, PASSED, RIGHT_PASSED, WRONG_PASSED
from operators.stats.consensus.preferences import PreferenceConsensus
from operators.stats.consensus.ratings import RatingConsensus

if TYPE_CHECKING:
    from operators.project.state import ItemRecord, LabelRecord

CATEGORIES, PREFERENCE, RATING = "categorical", "preference", "rating"
KINDS = (CATEGORIES, PREFERENCE, RATING)


class QuestionConsensus:
    """Learns the answers of a question's items.

    Parameters
    ----------
    kind
        Kind of the question's labels, one of `KINDS`.

    Attributes
    ----------
    changed
        Items whose answer may have changed since their rows were made, with the version of the record that did it.
    changed_options
        The same for the options of preferences.
    changed_annotators
        The same for annotators of whose labels the others' consensus may say something else now.
    is_dirty
        Whether rows are still to be made.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.ratings = RatingConsensus() if kind == RATING else None
        self.classes = CategoricalConsensus() if kind != RATING else None
        self.options = PreferenceConsensus() if kind == PREFERENCE else None
        self.changed: dict[str, int] = {}
        self.changed_options: dict[str, int] = {}
        self.changed_annotators: dict[str, int] = {}
        self.is_dirty = False
        self._gathered: list[tuple[str, str, str, str]] = []
        self._room = self.classes.room if self.classes is not None else 0

    def add(self, label: "LabelRecord", version: int) -> None:
        """Take in a label."""
        self.changed[label.item_id] = version
        if self.ratings is not None:
            value = float(label.value)
            self._note(self.ratings.add(label.item_id, label.annotator_id, value, label.annotation_id), version)
            return
        if self.options is not None:
            self._compare(label, version)
        gathered = self._gathered
        gathered.append((label.item_id, label.annotator_id, label.value, label.annotation_id))
        if len(gathered) >= self._room:
            self._hand_over(version)

    def remove(self, label: "LabelRecord", version: int) -> None:
        """Take a label out, which says what it said when it was added."""
        self.changed[label.item_id] = version
        if self.ratings is not None:
            self._note(self.ratings.remove(label.item_id, label.annotation_id), version)
            return
        if self.options is not None:
            for key in self._comparison_keys(label):
                self._note_options(self.options.remove(key), version)
        assert self.classes is not None
        self._hand_over(version)
        self._note(self.classes.remove(label.item_id, label.annotation_id), version)
        self._room = self.classes.room

    def hold_known_answer(self, item: "ItemRecord", version: int) -> None:
        """Let an item's known answer, which has changed, clamp its posterior, or no longer."""
        self.changed[item.item_id] = version
        if self.ratings is not None:
            value = float(item.truth.primary) if item.truth is not None else None
            self._note(self.ratings.set_known(item.item_id, value), version)
            return
        assert self.classes is not None
        self._hand_over(version)
        weights = {value: float(credit) for value, credit in item.truth.credits.items() if credit} if item.truth else {}
        if weights:
            self._note(self.classes.set_known(item.item_id, weights), version)
        else:
            self._note(self.classes.unset_known(item.item_id), version)
        self._room = self.classes.room

    def forget(self, item_id: str, version: int) -> None:
        """Drop an item; what was learnt from it stays."""
        self.changed.pop(item_id, None)
        if self.ratings is not None:
            self.ratings.forget(item_id)
            return
        assert self.classes is not None
        self._hand_over(version)
        self._note(self.classes.forget(item_id), version)
        self._room = self.classes.room
        self.changed.pop(item_id, None)

    def settle(self) -> None:
        """Hand over what was gathered; it completes no chunk."""
        self._hand_over(None)

    def heard_of(self, annotator_id: str) -> tuple[int, int]:
        """Return how many labels of an annotator the consensus of the others judged, and how many it agreed with.

        As of the end of the last chunk in which each label's item was touched.
        """
        counts = self.classes.verdicts(annotator_id) if self.classes is not None else ()
        return (
            (sum(counts[PASSED:]), counts[PASSED] + counts[RIGHT_PASSED] + counts[WRONG_PASSED]) if counts else (0, 0)
        )

    def evidence_on(self, annotator_id: str) -> tuple[int, int]:
        """Return the same of labels whose answer is not known."""
        counts = self.classes.verdicts(annotator_id) if self.classes is not None else ()
        return (counts[PASSED] + counts[FAILED], counts[PASSED]) if counts else (0, 0)

    def calibration(self) -> Calibration:
        """Return how the others' consensus fared on labels whose answer is known."""
        if self.classes is None:
            return Calibration()
        return Calibration(*self.classes.verdicts_of_all()[RIGHT_PASSED:])

    def state(self) -> dict[str, Any]:
        """Return everything, as arrays, lists, dicts, strings and numbers; nothing may be left to settle."""
        assert not self._gathered and not self.changed and not self.changed_options and not self.changed_annotators
        models = {"classes": self.classes, "ratings": self.ratings, "options": self.options}
        return {"kind": self.kind} | {name: model and model.state() for name, model in models.items()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "QuestionConsensus":
        """Return the consensus whose `state` this is."""
        consensus = cls(state["kind"])
        if consensus.classes is not None:
            consensus.classes = CategoricalConsensus.from_state(state["classes"])
            consensus._room = consensus.classes.room
        if consensus.ratings is not None:
            consensus.ratings.load(state["ratings"])
        if consensus.options is not None:
            consensus.options.load(state["options"])
        return consensus

    def _hand_over(self, version: int | None) -> None:
        gathered, classes = self._gathered, self.classes
        if not gathered or classes is None:
            return
        self._gathered = []
        items, annotators, values, keys = zip(*gathered, strict=True)
        changed = classes.add_many(items, annotators, values, keys)
        assert version is not None or not changed
        self._note(changed, version or 0)
        self._room = classes.room

    def _compare(self, label: "LabelRecord", version: int) -> None:
        assert self.options is not None
        for loser, key in zip(self._losers(label), self._comparison_keys(label), strict=True):
            self._note_options(self.options.add(label.annotator_id, label.value, loser, key), version)

    def _losers(self, label: "LabelRecord") -> list[str]:
        assert label.content is not None
        return [option for option in content_of(label.content).options if option != label.value]

    def _comparison_keys(self, label: "LabelRecord") -> list[str]:
        return [f"{label.annotation_id}/{loser}" for loser in self._losers(label)]

    def _note(self, items: list[str], version: int) -> None:
        for item_id in items:
            self.changed[item_id] = version
        if items and self.classes is not None:
            self.changed_annotators.update(dict.fromkeys(self.classes.take_heard(), version))

    def _note_options(self, options: list[str], version: int) -> None:
        for option in options:
            self.changed_options[option] = version
