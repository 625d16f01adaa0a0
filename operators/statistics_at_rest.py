"""River's statistics on disk, and at rest: as they were read, until somebody asks something of them.

Of the many annotators that a shard remembers few are at work at a time. So what is read back stays bytes until it is
first used, and goes to disk again as those bytes if it never was. River is pinned to one release, since what its
compiled parts call their state is a format of theirs.
"""

import pickle
from typing import Any

from river import stats

from operators.stats.adaptive_window import AdaptiveWindow

_AT_REST = "_at_rest"

Statistic = stats.EWMean | stats.Quantile | AdaptiveWindow
STATISTICS = (stats.EWMean, stats.Quantile, AdaptiveWindow)


class _AtRest:
    """Becomes the statistic that it stands for at the first look at an attribute of it."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        held = self.__dict__.pop(_AT_REST, None)
        if held is None:
            raise AttributeError(name)
        [kind] = [base for base in type(self).__mro__ if base in STATISTICS]
        found = pickle.loads(held) if isinstance(held, bytes) else _read(kind, held)  # noqa: S301 - trusted as code is
        self.__class__ = kind
        self.__dict__.update(found.__dict__)
        return getattr(self, name)


class _MeanAtRest(stats.EWMean, _AtRest):
    pass


class _QuantileAtRest(stats.Quantile, _AtRest):
    pass


class _WindowAtRest(AdaptiveWindow, _AtRest):
    pass


_KINDS_AT_REST: dict[type, type] = {
    stats.EWMean: _MeanAtRest, stats.Quantile: _QuantileAtRest, AdaptiveWindow: _WindowAtRest
}  # fmt: skip


def plain_of(statistic: Statistic) -> Any:
    """Return a statistic as plain values for MessagePack; one at rest as it was read."""
    held = statistic.__dict__.get(_AT_REST)
    if held is not None:
        return held
    if isinstance(statistic, stats.Quantile):
        return statistic.q, statistic._is_updated, statistic._quantile.__getstate__()
    if isinstance(statistic, stats.EWMean):
        return statistic.fading_factor, statistic._ewmean.__getstate__()
    assert isinstance(statistic, AdaptiveWindow)
    return statistic.delta, statistic.drift_detected, statistic._helper.__getstate__()


def at_rest(kind: type, plain: Any) -> Any:
    """Return a statistic of a kind at rest.

    Parameters
    ----------
    plain
        What `plain_of` returned, or a pickle of the statistic, as older formats hold it.
    """
    statistic = object.__new__(_KINDS_AT_REST[kind])
    statistic.__dict__[_AT_REST] = plain
    return statistic


def _read(kind: type, plain: Any) -> Statistic:
    if kind is stats.Quantile:
        q, is_updated, state = plain
        quantile = stats.Quantile(q)
        quantile._quantile.__setstate__(state)
        quantile._is_updated = is_updated
        return quantile
    if kind is stats.EWMean:
        fading_factor, state = plain
        mean = stats.EWMean(fading_factor)
        mean._ewmean.__setstate__(state)
        return mean
    delta, is_drift, state = plain
    window = AdaptiveWindow(delta=delta)
    window._helper.__setstate__(state)
    window._drift_detected = is_drift
    return window
