"""The standing of known answers: which of several is held against a label. Written down here, and nowhere else.

    adjudication > gold > a reviewer's correction > consensus

An adjudication and gold are answers of an item; a correction is the truth of the one label that was reviewed; the
consensus is what the annotators make of an item together. Accuracy (``gold_labels``, ``gold_correct``) rests on the
first two, which are evidence of full weight.
"""

from operators.project.state import ItemRecord, LabelRecord, Truth

CONSENSUS, CORRECTION, GOLD, ADJUDICATION = range(4)
NAMES = ("consensus", "correction", "gold", "adjudication")


def known_answer(item: ItemRecord) -> Truth | None:
    """Return the known answer of an item: the one of the highest standing."""
    return item.adjudication or item.gold


def standing_of(label: LabelRecord, item: ItemRecord | None) -> str | None:
    """Return the name of the standing of what is held against a label, None if nothing is."""
    if label.credit is not None:
        return NAMES[item.truth.standing] if item is not None and item.truth is not None else NAMES[GOLD]
    return NAMES[CORRECTION] if label.corrected is not None else None
