"""Lines from a pipe or terminal, without ever waiting for them."""

import fcntl
import os
import select
import stat

from flows.sources.lines import NOTHING, LineBuffer
from flows.sources.ordinals import OneSlotSource, OrdinalSlot
from flows.sources.slots import SlotContext, State
from schemas.errors import SourceError
from schemas.records import RecordBatch

STREAM = "stdin:-"
STANDARD_INPUT = 0
PIPE_BYTES = 1_048_576


class StandardInputSource(OneSlotSource):
    """Each line of standard input is a record; it ends with its last byte, or when the flow drains.

    What was read from a pipe cannot be read again: on resume only the numbering goes on, so that records keep distinct
    offsets, and what a crashed run had read since its last snapshot is lost.

    Parameters
    ----------
    context
        Limits, drain and counters.
    descriptor
        File descriptor to read from.
    """

    stream = STREAM

    def __init__(self, *, context: SlotContext = SlotContext(), descriptor: int = STANDARD_INPUT) -> None:  # noqa: B008
        self._context = context
        self._descriptor = descriptor

    def build_part(self, step_id: str, for_part: str, resume_state: State | None) -> "StandardInputSlot":
        """Return the slot that reads standard input, numbering on from where `resume_state` says."""
        return StandardInputSlot(self._descriptor, context=self._context, state=resume_state)


class StandardInputSlot(OrdinalSlot):
    """Reads what has arrived."""

    def __init__(self, descriptor: int, *, context: SlotContext, state: State | None) -> None:
        super().__init__(STREAM, context=context, state=state, gathers=_holds_much(descriptor))
        self._descriptor = descriptor
        self._lines = LineBuffer(self._limits)
        self._ended = False

    def read(self) -> list[RecordBatch]:
        """Return the lines that have arrived; raise StopIteration after the last one."""
        lines = self._lines.take()
        if not lines[0] and not self._ended:
            self._read_what_is_there()
            lines = self._lines.take()
        if not lines[0] and self._ended:
            lines = self._lines.finish() if self._lines.pending else NOTHING
            if not lines[0]:
                raise StopIteration
        return [self.batch(*lines)] if lines[0] else []

    def drained(self) -> list[RecordBatch]:
        """Hand on what has been read already, an unfinished line included, since it could not be read again."""
        self._ended = True
        return self.read()

    def _read_what_is_there(self) -> None:
        """Read as much as a batch takes, but no more than has arrived."""
        wanted, pieces = self._lines.read_bytes, []
        while wanted > 0 and not self._ended and (piece := self._piece(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
        self._lines.feed(b"".join(pieces))

    def _piece(self, wanted: int) -> bytes:
        """Return bytes that have arrived, or nothing if there are none; take note of the end."""
        try:
            if not select.select([self._descriptor], [], [], 0)[0]:
                return b""
            piece = os.read(self._descriptor, wanted)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise SourceError(f"standard input cannot be read: {error}", remedy="give it a pipe or file") from error
        self._ended = not piece
        return piece


def _holds_much(descriptor: int) -> bool:
    """Let a pipe hold what its writer writes while a batch is folded; return whether it does, as all but pipes do."""
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return True
        return fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES) >= PIPE_BYTES
    except (OSError, AttributeError):  # a system without, or a user who may have no more of it
        return False
