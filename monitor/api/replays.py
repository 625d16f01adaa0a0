"""Refused records that people mend and append to the log again: what the application needs somebody to do for it."""

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from monitor.api.acting import Reason, acting, said
from monitor.api.actions import Action, Actions
from monitor.api.context import Context
from monitor.api.problems import PROBLEM_RESPONSES, TITLES, Problem
from schemas.control import DeadLetterReplayed

PAYLOAD_MAX = 4_194_304


@dataclass(frozen=True, slots=True)
class Replayable:
    """A record that is an event of the contract, in the stead of a refused one.

    Parameters
    ----------
    letter_project_id
        Project of the refused record; None where that could not be told.
    project_id
        Project of the event.
    payload
        Its bytes.
    """

    letter_project_id: str | None
    project_id: str
    payload: bytes


class Replays(Protocol):
    """Finds refused records, and appends what takes their place to the log."""

    def prepare(self, stream: str, partition: int, offset: int, *, payload: str | None) -> Replayable | str | None:
        """Return the record to append: the refused one as it is, or with its text replaced.

        Returns
        -------
        Replayable
            The record.
        str
            Why it would only be refused again.
        None
            There is no such refused record.
        """

    def append(self, record: Replayable) -> None:
        """Append a record to the log, and return once it is there for good."""


class Replay(BaseModel):
    """A refused record is appended to the log again."""

    model_config = ConfigDict(extra="forbid")

    stream: Annotated[str, Field(min_length=1, max_length=4_096, pattern=r"^[^\x00-\x1f\x7f]+$")]
    partition: Annotated[int, Field(ge=0, lt=2**31)]
    offset: Annotated[int, Field(ge=0, lt=2**48)]
    reason: Reason
    payload: Annotated[str | None, Field(min_length=1, max_length=PAYLOAD_MAX, description="Takes its place.")] = None


_UNMENDED: dict[int | str, dict[str, Any]] = {409: {**PROBLEM_RESPONSES[422], "description": TITLES[409]}}


def replays_router(context: Context, actions: Actions, replays: Replays | None) -> APIRouter:
    """Return the address of replays."""
    router = APIRouter(prefix="/api/v1/actions", tags=["actions"], responses=PROBLEM_RESPONSES)

    @router.post("/replay", summary="append a refused record to the log again", status_code=201, responses=_UNMENDED)
    async def replay(request: Request, asked: Replay) -> Action:
        grant = await acting(request, context, project_id=None, is_of_all=False)
        if replays is None:
            raise Problem(501, "there is no log to append to", remedy="name the flow's source: a topic or a plain file")
        position = (asked.stream, asked.partition, asked.offset)
        record = await run_in_threadpool(replays.prepare, *position, payload=asked.payload)
        if record is None:
            raise Problem(404, f"no record was refused at offset {asked.offset} of partition {asked.partition}")
        if isinstance(record, str):
            raise Problem(409, record, remedy="mend its text, then replay it")
        for project_id in {record.letter_project_id, record.project_id}:
            if grant.projects and (project_id is None or not grant.allows(project_id)):
                raise Problem(403, "this token does not open the project of the record")
        await run_in_threadpool(replays.append, record)
        event = DeadLetterReplayed(
            **said(grant, asked.reason), type="dead_letter.replayed", stream=asked.stream, partition=asked.partition,
            offset=asked.offset, project_id=record.project_id, is_changed=asked.payload is not None,
        )  # fmt: skip
        return await actions.take(event, project_id=record.project_id)

    return router
