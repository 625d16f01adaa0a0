"""The form of a shard's state on disk: blocks of MessagePack, the first with a version number.

The first block holds all but the items of questions, the others those items.
"""

import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from operators.project.consensus import QuestionConsensus
from operators.project.items import ItemAtRest, Items
from operators.project.state import ProjectRecord, QuestionRecord
from operators.project.upgrade import upgrade_format_1
from operators.shard import ShardState
from operators.statistics_at_rest import STATISTICS, at_rest, plain_of
from schemas.errors import UnreadableStateError

FORMAT_VERSION = 3
READABLE_VERSIONS = (1, 2, 3)
"""Format 1 knew categorical labels and gold only (see operators.project.upgrade). Before 3 a state was one value."""
BLOCK_ITEMS = 10_000


class _Envelope(msgspec.Struct, array_like=True):
    format_version: int
    state: msgspec.Raw


class _ItemBlock(msgspec.Struct, array_like=True):
    project_id: str
    question_id: str
    items: list[ItemAtRest]


class _Version(msgspec.Struct, array_like=True):
    format_version: int


def format_of(data: bytes) -> int:
    """Return the format of what the engine keeps of a shard.

    Raises
    ------
    IncompatibleStateError
        If it cannot be read, or is of a format that this version does not know.
    """
    try:
        found = msgspec.msgpack.decode(data, type=_Version).format_version
    except msgspec.MsgspecError as error:
        raise UnreadableStateError(f"state that cannot be read: {error}") from error
    if found not in READABLE_VERSIONS:
        raise UnreadableStateError(f"state of format {found}; this one is {FORMAT_VERSION}")
    return found


def encode_state(state: ShardState) -> Iterator[bytes]:
    """Yield the blocks of a shard's state."""
    projects = {name: _without_items(project) for name, project in state.projects.items()}
    rest = msgspec.msgpack.encode(ShardState(projects, state.accounts), enc_hook=_plain)
    yield msgspec.msgpack.encode(_Envelope(FORMAT_VERSION, msgspec.Raw(rest)))
    for project in state.projects.values():
        for question in project.questions.values():
            items = question.items if isinstance(question.items, Items) else Items(question.items.items())
            for block in items.on_disk(BLOCK_ITEMS):
                yield msgspec.msgpack.encode(_ItemBlock(project.project_id, question.question_id, block))


def decode_state(blocks: Iterable[bytes]) -> ShardState:
    """Return the state of which `encode_state` gave the blocks.

    Raises
    ------
    IncompatibleStateError
        If another version of labelpulse wrote it.
    """
    remaining = iter(blocks)
    first = next(remaining, b"")
    if format_of(first) != FORMAT_VERSION:
        raise UnreadableStateError("state that cannot be read: a base of an older format")
    try:
        envelope = msgspec.msgpack.decode(first, type=_Envelope)
        state = msgspec.msgpack.decode(envelope.state, type=ShardState, dec_hook=_from_plain)
        read = msgspec.msgpack.Decoder(_ItemBlock).decode
        for block in map(read, remaining):
            question = state.projects[block.project_id].questions[block.question_id]
            if not isinstance(question.items, Items):
                question.items = Items()
            question.items.at_rest.update([(item.item_id, item) for item in block.items])
    except (msgspec.MsgspecError, KeyError) as error:
        raise UnreadableStateError(f"state that cannot be read: {error}") from error
    return state


def decode_whole_state(data: bytes, *, window: int) -> ShardState:
    """Return a state that an older version wrote as one value.

    Parameters
    ----------
    window
        Length of the windows, in microseconds.

    Raises
    ------
    IncompatibleStateError
        If it cannot be read.
    """
    version = format_of(data)
    assert version < FORMAT_VERSION
    try:
        envelope = msgspec.msgpack.decode(data, type=_Envelope)
        state = msgspec.msgpack.decode(envelope.state, type=ShardState, dec_hook=_from_plain)
    except msgspec.MsgspecError as error:
        raise UnreadableStateError(f"state that cannot be read: {error}") from error
    if version == 1:
        for record in state.projects.values():
            upgrade_format_1(record, window=window)
    return state


def _without_items(project: ProjectRecord) -> ProjectRecord:
    questions: dict[str, QuestionRecord] = {
        name: msgspec.structs.replace(question, items={}) for name, question in project.questions.items()
    }
    return msgspec.structs.replace(project, questions=questions)


def _plain(statistic: Any) -> Any:
    if isinstance(statistic, QuestionConsensus):
        return pickle.dumps(statistic.state(), protocol=5)
    return plain_of(statistic)


def _from_plain(kind: type, plain: Any) -> Any:
    if kind is QuestionConsensus:
        return QuestionConsensus.from_state(pickle.loads(plain))  # noqa: S301 - the recovery directory is trusted as code is
    assert kind in STATISTICS
    return at_rest(kind, plain)
