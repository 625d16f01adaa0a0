"""The form of a shard's state on disk: a version number and MessagePack.

River's statistics travel inside as their own pickles, which is why River is pinned to one release.
"""

import pickle
from typing import Any

import msgspec
from river import stats

from operators.project.consensus import QuestionConsensus
from operators.project.upgrade import upgrade_format_1
from operators.shard import ShardState
from operators.stats.adaptive_window import AdaptiveWindow
from schemas.errors import IncompatibleStateError

FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
"""Format 1 knew categorical labels and gold only: see operators.project.upgrade."""
_RIVER_TYPES = (stats.EWMean, stats.Quantile, AdaptiveWindow)


class _Envelope(msgspec.Struct, array_like=True):
    format_version: int
    state: msgspec.Raw


def encode_state(state: ShardState) -> bytes:
    """Return the bytes of a shard's state."""
    return msgspec.msgpack.encode(
        _Envelope(FORMAT_VERSION, msgspec.Raw(msgspec.msgpack.encode(state, enc_hook=_to_bytes)))
    )


def decode_state(data: bytes, *, window: int) -> ShardState:
    """Return the state that `encode_state` wrote.

    Parameters
    ----------
    window
        Length of the windows, in microseconds.

    Raises
    ------
    IncompatibleStateError
        If another version of labelpulse wrote it.
    """
    try:
        envelope = msgspec.msgpack.decode(data, type=_Envelope)
        if envelope.format_version not in READABLE_VERSIONS:
            raise IncompatibleStateError(
                f"the recovery store holds state of format {envelope.format_version}; this one is {FORMAT_VERSION}",
                remedy="go on with the version that wrote it, or start a new recovery directory",
            )
        state = msgspec.msgpack.decode(envelope.state, type=ShardState, dec_hook=_from_bytes)
    except msgspec.MsgspecError as error:
        raise IncompatibleStateError(
            f"the recovery store holds state that cannot be read: {error}",
            remedy="go on with the version that wrote it, or start a new recovery directory",
        ) from error
    if envelope.format_version == 1:
        for record in state.projects.values():
            upgrade_format_1(record, window=window)
    return state


def _to_bytes(statistic: Any) -> bytes:
    if isinstance(statistic, QuestionConsensus):
        return pickle.dumps(statistic.state(), protocol=5)
    assert isinstance(statistic, _RIVER_TYPES)
    return pickle.dumps(statistic, protocol=5)


def _from_bytes(kind: type, data: Any) -> Any:
    loaded = pickle.loads(data)  # noqa: S301 - the recovery directory is as trusted as the code
    if kind is QuestionConsensus:
        return QuestionConsensus.from_state(loaded)
    assert kind in _RIVER_TYPES
    return loaded
