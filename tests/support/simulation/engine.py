"""A dataflow run one step at a time, as Bytewax runs it, in an order that a seed decides.

It knows the core operators that the flow is made of, several workers, epochs, snapshots and resuming from them. An
epoch ends when each source slot has ended it and all that came of it has been worked off; only then is it durable, and
only then is a slot asked for the next batch (see `tests/test_engine_promises.py` for how Bytewax does it).
"""

import pickle
import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bytewax.dataflow import Dataflow, Operator

Key = tuple[str, str]
"""Id of a step and a key of its state, or one of its parts."""

STATEFUL, MAPPING, INPUT, OUTPUT = "stateful_batch", "flat_map_batch", "input", "output"


class RecoveryStore:
    """What outlives a crash: the states of the last epoch that was completed."""

    def __init__(self) -> None:
        self.states: dict[Key, bytes] = {}
        self.epochs = 0

    def commit(self, states: Mapping[Key, Any]) -> None:
        """Keep the states of an epoch; None forgets a key."""
        self.states |= {key: pickle.dumps(state) for key, state in states.items()}
        self.epochs += 1

    def state(self, key: Key) -> Any:
        """Return what a step resumes from; None if it never had state."""
        return pickle.loads(self.states[key]) if key in self.states else None


class SimulatedEngine:
    """Runs a flow over several workers from the last snapshot on.

    Parameters
    ----------
    flow
        The flow.
    ends
        For each worker its sources and sinks by step; workers of one process share them.
    store
        Where snapshots are.
    rng
        Decides what is next.
    step
        Called ahead of each thing that is done; may raise, which is a crash.
    on_commit
        Told the source's states when an epoch has become durable.
    batches_per_epoch
        About how many batches an epoch has.
    """

    def __init__(
        self,
        flow: Dataflow,
        ends: Sequence[Mapping[str, Any]],
        store: RecoveryStore,
        *,
        rng: random.Random,
        step: Callable[[], None],
        on_commit: Callable[[list[Any]], None],
        batches_per_epoch: int,
    ) -> None:
        self._store = store
        self._rng = rng
        self._step = step
        self._on_commit = on_commit
        self._batches_per_epoch = batches_per_epoch
        self._salt = rng.randrange(2**32)
        self._steps = {each.step_id: each for each in _core(flow.substeps)}
        self._ends = ends
        self._consumers: dict[str, list[str]] = {}
        for each in self._steps.values():
            for name in each.ups_names:
                self._consumers.setdefault(getattr(each, name).stream_id, []).append(each.step_id)
        self._queues: dict[Key, list[Any]] = {}
        self._logics: dict[Key, Any] = {}
        self._touched: set[Key] = set()
        self._slots: dict[Key, Any] = {}
        self._sink_slots: dict[Key, Any] = {}
        self._sink_parts: dict[str, list[str]] = {}
        self._ended: set[Key] = set()

    def run(self) -> None:
        """Run until the sources have come to their end."""
        self._open()
        while len(self._ended) < len(self._slots):
            self._run_epoch()
        self.close()

    def close(self, *, in_order: bool = True) -> None:
        """Close sources and sinks, as at an end or after an exception; or sources alone, as the system would."""
        for slot in (*self._slots.values(), *(self._sink_slots.values() if in_order else ())):
            slot.close()

    def _open(self) -> None:
        for each in self._of_kind(INPUT):
            for part in self._ends[0][each.step_id].list_parts():
                key = (each.step_id, part)
                self._slots[key] = self._end_at(key).build_part(*key, self._store.state(key))
        for each in self._of_kind(OUTPUT):
            self._sink_parts[each.step_id] = parts = sorted(self._ends[0][each.step_id].list_parts())
            for part in parts:
                key = (each.step_id, part)
                self._sink_slots[key] = self._end_at(key).build_part(*key, self._store.state(key))
        stateful = {each.step_id for each in self._of_kind(STATEFUL)}
        for key in self._store.states:
            if key[0] in stateful:
                self._logic(key)

    def _run_epoch(self) -> None:
        open_slots = [key for key in self._slots if key not in self._ended]
        states: dict[Key, Any] = {key: self._slots[key].snapshot() for key in self._ended}
        while open_slots or any(self._queues.values()):
            self._step()
            waiting = [key for key, queue in self._queues.items() if queue]
            if open_slots and (not waiting or self._rng.random() < 0.5):
                key = self._rng.choice(open_slots)
                if self._poll(key) or self._rng.random() < 1 / self._batches_per_epoch:
                    states[key] = self._slots[key].snapshot()
                    open_slots.remove(key)
            elif waiting:
                self._work_off(self._rng.choice(waiting))
        if len(self._ended) == len(self._slots):
            self._tell_the_end()
        self._snapshot(states)

    def _poll(self, key: Key) -> bool:
        """Take a batch from a slot; return whether the slot is at its end."""
        try:
            batch = self._slots[key].next_batch()
        except StopIteration:
            self._ended.add(key)
            return True
        if batch:
            self._emit(self._steps[key[0]].down.stream_id, batch)
        return False

    def _emit(self, stream_id: str, items: Iterable[Any]) -> None:
        items = list(items)
        for step_id in self._consumers.get(stream_id, ()):
            each = self._steps[step_id]
            kind = type(each).__name__
            if kind == MAPPING:
                self._emit(each.down.stream_id, each.mapper(items))
                continue
            for name, value in items:
                if kind == OUTPUT:
                    parts = self._sink_parts[step_id]
                    name = parts[self._ends[0][step_id].part_fn(name) % len(parts)]
                else:
                    assert kind == STATEFUL, f"the simulation knows no operator {kind}"
                self._queues.setdefault((step_id, name), []).append(value)

    def _work_off(self, key: Key) -> None:
        """Hand some of what waits to whom it is for."""
        queue = self._queues[key]
        count = self._rng.randrange(1, len(queue) + 1)
        values, queue[:count] = queue[:count], []
        if key in self._sink_slots:
            self._sink_slots[key].write_batch(values)
            return
        self._touched.add(key)
        emitted, is_over = self._logic(key).on_batch(values)
        assert not is_over, "a shard is never discarded"
        self._emit_keyed(key, emitted)

    def _emit_keyed(self, key: Key, emitted: Iterable[Any]) -> None:
        self._emit(self._steps[key[0]].down.stream_id, [(key[1], value) for value in emitted])

    def _tell_the_end(self) -> None:
        for key, logic in self._logics.items():
            emitted, is_over = logic.on_eof()
            assert not is_over, "the end of the input discards nothing"
            self._emit_keyed(key, emitted)
        while waiting := [key for key, queue in self._queues.items() if queue]:
            self._work_off(waiting[0])

    def _snapshot(self, states: dict[Key, Any]) -> None:
        keys = [*sorted(self._touched), *self._sink_slots]
        self._rng.shuffle(keys)
        for key in keys:
            self._step()
            holder = self._sink_slots.get(key) or self._logics[key]
            states[key] = holder.snapshot()
        self._step()
        self._store.commit(states)
        self._touched.clear()
        self._on_commit([states[key] for key in self._slots])

    def _logic(self, key: Key) -> Any:
        if key not in self._logics:
            self._logics[key] = self._steps[key[0]].builder(self._store.state(key))
        return self._logics[key]

    def _end_at(self, key: Key) -> Any:
        """Return the source or sink of a part, of the worker that it falls to."""
        worker = zlib.crc32(key[1].encode(), self._salt) % len(self._ends)
        return self._ends[worker][key[0]]

    def _of_kind(self, kind: str) -> list[Any]:
        return [each for each in self._steps.values() if type(each).__name__ == kind]


def _core(steps: Iterable[Operator]) -> Iterator[Any]:
    for each in steps:
        if each.substeps:
            yield from _core(each.substeps)
        else:
            yield each
