"""Writes the simulated events as JSON lines, many at a time.

What is known in advance (ids, class names) is escaped once; the lines are put together from these pieces.
"""

import json
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from flows.simulator.world import Project

SOURCE = "simulator"


def timestamps(moments_ms: NDArray[np.int64]) -> list[str]:
    """Return RFC 3339 timestamps of milliseconds since the epoch."""
    return np.datetime_as_string(moments_ms.astype("datetime64[ms]"), timezone="UTC").tolist()


def retracted_lines(project: Project, annotations: Iterable[int], moments_ms: NDArray[np.int64]) -> list[bytes]:
    """Return ``annotation.retracted`` events of the numbered annotations."""
    place = f'","source":"{SOURCE}","project_id":{_quoted(project.name)},"annotation_id":"a'
    return [
        f'{{"schema_version":1,"type":"annotation.retracted","event_id":"a{number}.retracted",'
        f'"occurred_at":"{at}{place}{number}"}}'.encode()
        for number, at in zip(annotations, timestamps(moments_ms), strict=True)
    ]


class QuestionLines:
    """Writes the events of one question of a project.

    Parameters
    ----------
    project
        The project.
    number
        Number of the question in the project.
    annotators
        Names of the project's pool of annotators, in order.
    teams
        How many teams they belong to, by their names; 0 for none.
    """

    def __init__(self, project: Project, number: int, annotators: Sequence[str], *, teams: int = 0) -> None:
        question = project.questions[number]
        self._event_suffix = f".{number}."
        self._place = (
            f'","source":"{SOURCE}","project_id":{_quoted(project.name)},"question_id":{_quoted(question.name)},'
            f'"item_id":"{project.name[0]}-'
        )
        self._annotators = np.array([_quoted(name) + _team(name, teams) for name in annotators], dtype=object)
        self._classes = np.array([_quoted(name) for name in question.classes], dtype=object)

    def submitted(
        self,
        *,
        revision: int,
        annotations: NDArray[np.int64],
        moments_ms: NDArray[np.int64],
        items: NDArray[np.int64],
        annotators: NDArray[np.int64],
        answers: NDArray[np.int64],
        durations_ms: NDArray[np.int64],
    ) -> list[bytes]:
        """Return ``annotation.submitted`` events; all arrays have shape (events,).

        Parameters
        ----------
        annotators
            Places in the project's pool.
        answers
            Numbers of classes.
        """
        suffix, place = f'{self._event_suffix}{revision}","occurred_at":"', self._place
        tail = f'","revision":{revision},"step":"annotate","label":{{"kind":"categorical","value":'
        columns = zip(
            annotations.tolist(),
            timestamps(moments_ms),
            items.tolist(),
            self._annotators[annotators].tolist(),
            self._classes[answers].tolist(),
            durations_ms.tolist(),
            strict=True,
        )
        return [
            f'{{"schema_version":1,"type":"annotation.submitted","event_id":"a{number}{suffix}{at}{place}{item}'
            f'","annotator_id":{annotator},"annotation_id":"a{number}{tail}{answer}}},"duration_ms":{duration}}}'.encode()
            for number, at, item, annotator, answer, duration in columns
        ]

    def gold(
        self, *, edition: int, items: NDArray[np.int64], moments_ms: NDArray[np.int64], answers: NDArray[np.int64]
    ) -> list[bytes]:
        """Return ``gold.set`` events; all arrays have shape (events,).

        Parameters
        ----------
        edition
            0 for the first known answer of an item, 1 for its correction.
        """
        suffix, place = f'{self._event_suffix}{edition}","occurred_at":"', self._place
        columns = zip(items.tolist(), timestamps(moments_ms), self._classes[answers].tolist(), strict=True)
        return [
            f'{{"schema_version":1,"type":"gold.set","event_id":"g{item}{suffix}{at}{place}{item}'
            f'","answers":[{{"label":{{"kind":"categorical","value":{answer}}},"weight":1.0}}],"origin":"gold"}}'.encode()
            for item, at, answer in columns
        ]


def _team(name: str, teams: int) -> str:
    return f',"attributes":{{"team":"team {zlib.crc32(name.encode()) % teams + 1}"}}' if teams else ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
