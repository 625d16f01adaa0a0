"""What rules themselves keep count of: silence and throughput, by the project's clock."""

from operators.rules.state import AnnotatorKey, PartCounts, RuleState, Throughput

WINDOWS_KEPT_MAX = 24
WINDOWS_MIN = 3
PARTS_MAX = 10_000


def note_activity(waiting: dict[AnnotatorKey, int], key: AnnotatorKey, clock: int) -> None:
    """Put an annotator who was active to the end of those who may fall silent."""
    waiting.pop(key, None)
    waiting[key] = clock


def take_silent(waiting: dict[AnnotatorKey, int], oldest: int) -> list[AnnotatorKey]:
    """Take out and return those whose last event is older than `oldest`, the longest silent first.

    >>> waiting = {("q", "a"): 5, ("q", "b"): 9}
    >>> take_silent(waiting, 7), waiting
    ([('q', 'a')], {('q', 'b'): 9})
    """
    silent = []
    for key, seen in waiting.items():
        if seen >= oldest:
            break
        silent.append(key)
    for key in silent:
        del waiting[key]
    return silent


def count_label(state: RuleState, key: tuple[str, str], clock: int, window: int) -> None:
    """Count a label in the window in which the clock stands."""
    counts = state.throughput.get(key)
    if counts is None:
        counts = state.throughput[key] = Throughput(clock // window)
    elif counts.window < clock // window:
        close_windows(counts, clock // window)
    counts.count += 1


def close_windows(counts: Throughput, window: int) -> None:
    """Close the windows before `window`; the ratio is the newest closed one over the mean of those before it.

    >>> counts = Throughput(0, count=10)
    >>> for label in (12, 8, 10):
    ...     close_windows(counts, counts.window + 1)
    ...     counts.count = label
    >>> close_windows(counts, 5)
    >>> counts.ratio, counts.before
    (0.0, [10, 12, 8, 10, 0])
    """
    empty = window - counts.window - 1
    closed = [counts.count, *[0] * min(empty, WINDOWS_KEPT_MAX + 1)]
    before = [*counts.before, *closed][-WINDOWS_KEPT_MAX - 1 :]
    usual = before[:-1]
    counts.window, counts.count, counts.before = window, 0, before
    is_known = len(usual) >= WINDOWS_MIN and sum(usual) > 0
    counts.ratio = before[-1] * len(usual) / sum(usual) if is_known else None


def part_of(state: RuleState, key: tuple[str, str, str]) -> PartCounts:
    """Return the counts of a step or class; those beyond `PARTS_MAX` are counted together and asked by nobody."""
    counts = state.parts.get(key)
    if counts is None:
        if len(state.parts) >= PARTS_MAX:
            return state.parts.setdefault(("", "", ""), PartCounts())
        counts = state.parts[key] = PartCounts()
    return counts


def part_figure(state: RuleState, key: tuple[str, str, str], signal: str) -> float | None:
    """Return a signal of a step or class, by question, step and class, or None if it is not known.

    >>> state = RuleState(parts={("q", "", "mild"): PartCounts(labels=10)}, questions={"q": 40})
    >>> part_figure(state, ("q", "", "mild"), "class_share")
    0.25
    """
    counts = state.parts.get(key)
    if counts is None:
        return None
    if signal in ("labels", "gold_labels"):
        return counts.labels if signal == "labels" else counts.judgements
    part, whole = {
        "class_share": (counts.labels, state.questions.get(key[0], 0)),
        "accuracy": (counts.correct, counts.judgements),
        "skip_rate": (counts.skips, counts.skips + counts.labels),
    }[signal]
    return part / whole if whole else None
