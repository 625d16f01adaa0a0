"""Rows of the agreement: of a question, of its windows, and of pairs of annotators."""

from collections.abc import Sequence
from typing import Any

from operators.project.state import AgreementPart, QuestionRecord, WindowRecord
from operators.stats.agreement.pairs import SHARED_MIN

Row = tuple[Any, ...]


def agreement_row(question: QuestionRecord, project_id: str, generation: int) -> Row:
    """Return the row of a question's agreement over all time."""
    part = question.agreement
    assert part is not None
    part.is_dirty = False
    return (project_id, question.question_id, *_figures(part), generation, part.version, int(_is_empty(part)))


def agreement_window_row(
    question: QuestionRecord, window: WindowRecord, length: int, project_id: str, generation: int
) -> Row:
    """Return the row of a question's agreement in a window of so many microseconds."""
    part = window.agreement
    assert part is not None
    part.is_dirty = False
    return (
        project_id, question.question_id, window.start, window.start + length, *_figures(part),
        generation, part.version, int(_is_empty(part)),
    )  # fmt: skip


def pair_row(question: QuestionRecord, pair: Sequence[str], version: int, project_id: str, generation: int) -> Row:
    """Return the row of two annotators; a tombstone where they share too few items."""
    assert question.pairs is not None
    first, second = pair
    found = question.pairs.kappa_of(first, second)
    if found is None or found.shared_items < SHARED_MIN:
        return (project_id, question.question_id, first, second, 0, None, None, generation, version, 1)
    return (
        project_id, question.question_id, first, second, found.shared_items, found.percent_agreement, found.kappa,
        generation, version, 0,
    )  # fmt: skip


def _is_empty(part: AgreementPart) -> bool:
    return not part.figures.cells


def _figures(part: AgreementPart) -> Row:
    figures = part.figures.figures()
    return (
        part.figures.level, figures.items, figures.labels, figures.alpha, figures.alpha_low, figures.alpha_high,
        figures.ac1, figures.ac1_low, figures.ac1_high,
        figures.percent_agreement, figures.percent_low, figures.percent_high,
    )  # fmt: skip
