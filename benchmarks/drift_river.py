"""River's detectors over many streams at once, alarm for alarm the same as River's own (a test compares them)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from river.drift import ADWIN, KSWIN


class Many:
    """Base: many streams, one judgement of each a step.

    Parameters
    ----------
    streams
        Number of streams.
    settings
        The detector's parameters by River's names.
    """

    defaults: dict[str, float] = {}

    def __init__(self, streams: int, **settings: float) -> None:
        self.settings = self.defaults | settings
        self.state: dict[str, NDArray[np.float64]] = {}
        self.start = self.fresh()
        self.state = {name: np.full(streams, value) for name, value in self.start.items()}

    def fresh(self) -> dict[str, float]:
        """Return the state of a new stream."""
        raise NotImplementedError

    def statistic(self, values: NDArray) -> NDArray[np.float64]:
        """Take one value of each stream; return what is compared with `limit` (−∞ where no alarm can be)."""
        raise NotImplementedError

    @property
    def limit(self) -> float:
        """An alarm is a statistic above it."""
        raise NotImplementedError

    def step(self, values: NDArray) -> NDArray[np.bool_]:
        """Take one value of each stream; return which raise an alarm, and start those afresh."""
        alarms = self.statistic(values) > self.limit
        if alarms.any():
            for name, value in self.start.items():
                self.state[name][alarms] = value
        return alarms


class PageHinkleyMany(Many):
    """`river.drift.PageHinkley`."""

    defaults = {"min_instances": 30, "delta": 0.005, "threshold": 50.0, "alpha": 1 - 0.0001, "is_rise_only": 0}

    def fresh(self) -> dict[str, float]:
        return {"n": 0.0, "mean": 0.0, "up": 0.0, "down": 0.0, "low": np.inf, "high": -1.0}

    @property
    def limit(self) -> float:
        return self.settings["threshold"]

    def statistic(self, values: NDArray) -> NDArray[np.float64]:
        state, delta, alpha = self.state, self.settings["delta"], self.settings["alpha"]
        state["n"] += 1
        state["mean"] += (1.0 / state["n"]) * (values - state["mean"])
        deviation = values - state["mean"]
        state["up"] = alpha * state["up"] + deviation - delta
        state["down"] = alpha * state["down"] + deviation + delta
        state["low"] = np.minimum(state["low"], state["up"])
        state["high"] = np.maximum(state["high"], state["down"])
        found = state["up"] - state["low"]
        if not self.settings["is_rise_only"]:
            found = np.maximum(found, state["high"] - state["down"])
        return np.where(state["n"] >= self.settings["min_instances"], found, -np.inf)


class DDMMany(Many):
    """`river.drift.binary.DDM`."""

    defaults = {"warm_start": 30, "drift_threshold": 3.0}

    def fresh(self) -> dict[str, float]:
        return {"n": 0.0, "mean": 0.0, "p_min": np.nan, "s_min": np.nan, "ps_min": np.inf}

    @property
    def limit(self) -> float:
        return self.settings["drift_threshold"]

    def statistic(self, values: NDArray) -> NDArray[np.float64]:
        state = self.state
        state["n"] += 1
        state["mean"] += (1.0 / state["n"]) * (values - state["mean"])
        p, s = state["mean"], np.sqrt(np.maximum(state["mean"] * (1 - state["mean"]), 0.0) / state["n"])
        is_warm = state["n"] > self.settings["warm_start"]
        is_lower = is_warm & (p + s <= state["ps_min"])
        for name, value in (("p_min", p), ("s_min", s), ("ps_min", p + s)):
            state[name] = np.where(is_lower, value, state[name])
        with np.errstate(divide="ignore", invalid="ignore"):
            level = (p + s - state["p_min"]) / state["s_min"]
        return np.where(is_warm & ~np.isnan(level), level, -np.inf)


class EDDMMany(Many):
    """`river.drift.binary.EDDM`."""

    defaults = {"warm_start": 30, "beta": 0.9}

    def fresh(self) -> dict[str, float]:
        return {"n": 0.0, "last": 0.0, "errors": 0.0, "mean": 0.0, "squares": 0.0, "high": -1.0}

    @property
    def limit(self) -> float:
        return -self.settings["beta"]

    def statistic(self, values: NDArray) -> NDArray[np.float64]:
        state = self.state
        state["n"] += 1
        is_error = values == 1
        errors = state["errors"] + is_error
        gap = state["n"] - state["last"]
        mean = state["mean"] + (1.0 / np.maximum(errors, 1)) * (gap - state["mean"])
        squares = state["squares"] + (gap - state["mean"]) * (gap - mean)
        for name, value in (("errors", errors), ("mean", mean), ("squares", squares), ("last", state["n"])):
            state[name] = np.where(is_error, value, state[name])
        variance = np.where(errors > 1, state["squares"] / np.maximum(errors - 1, 1), 0.0)
        reach = state["mean"] + 2 * np.sqrt(np.maximum(variance, 0.0))
        is_warm = is_error & (state["n"] > self.settings["warm_start"])
        is_higher = is_warm & (reach > state["high"])
        state["high"] = np.where(is_higher, reach, state["high"])
        can_alarm = is_warm & ~is_higher & (state["errors"] > self.settings["warm_start"])
        return np.where(can_alarm, -reach / state["high"], -np.inf)


class HDDMAMany(Many):
    """`river.drift.binary.HDDMA`, one-sided."""

    defaults = {"drift_confidence": 0.001}

    def fresh(self) -> dict[str, float]:
        return {"n": 0.0, "mean": 0.0, "n_low": 0.0, "mean_low": 0.0}

    @property
    def limit(self) -> float:
        return 0.0

    def statistic(self, values: NDArray) -> NDArray[np.float64]:
        state, confidence = self.state, self.settings["drift_confidence"]
        state["n"] += 1
        state["mean"] += (1.0 / state["n"]) * (values - state["mean"])
        bound = np.sqrt(1.0 / (2 * state["n"]) * np.log(1.0 / confidence))
        bound_low = np.sqrt(1.0 / (2 * np.maximum(state["n_low"], 1)) * np.log(1.0 / confidence))
        is_lower = (state["n_low"] == 0) | (state["mean_low"] + bound_low >= state["mean"] + bound)
        state["n_low"] = np.where(is_lower, state["n"], state["n_low"])
        state["mean_low"] = np.where(is_lower, state["mean"], state["mean_low"])
        share = (state["n"] - state["n_low"]) / state["n_low"] * (1.0 / state["n"])
        is_reached = state["mean"] - state["mean_low"] >= np.sqrt(share / 2 * np.log(2.0 / confidence))
        return np.where((state["n"] > state["n_low"]) & is_reached, 1.0, -np.inf)


class HDDMWMany(Many):
    """`river.drift.binary.HDDMW`, one-sided."""

    defaults = {"drift_confidence": 0.001, "lambda_val": 0.05}

    def fresh(self) -> dict[str, float]:
        start = {"cut": np.inf}
        for part in ("total", "before", "after"):
            start |= {f"{part}_mean": np.nan, f"{part}_bound": 1.0}
        return start

    @property
    def limit(self) -> float:
        return 0.0

    def _take(self, part: str, values: NDArray, chosen: NDArray[np.bool_]) -> None:
        state, share = self.state, self.settings["lambda_val"]
        mean, bound = state[f"{part}_mean"], state[f"{part}_bound"]
        later = np.where(np.isnan(mean), values, share * values + (1 - share) * mean)
        state[f"{part}_mean"] = np.where(chosen, later, mean)
        state[f"{part}_bound"] = np.where(chosen, share * share + (1 - share) ** 2 * bound, bound)

    def statistic(self, values: NDArray) -> NDArray[np.float64]:
        state, logarithm = self.state, np.log(1 / self.settings["drift_confidence"])
        self._take("total", values, np.ones(len(values), np.bool_))
        reach = state["total_mean"] + np.sqrt(state["total_bound"] * logarithm / 2)
        is_lower = reach < state["cut"]
        state["cut"] = np.where(is_lower, reach, state["cut"])
        for name in ("mean", "bound"):
            state[f"before_{name}"] = np.where(is_lower, state[f"total_{name}"], state[f"before_{name}"])
        state["after_mean"] = np.where(is_lower, np.nan, state["after_mean"])
        state["after_bound"] = np.where(is_lower, 1.0, state["after_bound"])
        self._take("after", values, ~is_lower)
        bound = np.sqrt((state["before_bound"] + state["after_bound"]) * logarithm / 2)
        found = state["after_mean"] - state["before_mean"] - bound
        return np.where(np.isnan(found), -np.inf, found)


class RiverMany:
    """River's own objects, one a stream, for the detectors that are quick enough (or run on few streams)."""

    kind: Any

    def __init__(self, streams: int, **settings: float) -> None:
        self.detectors = [self.kind(**settings) for _ in range(streams)]

    def first_alarms(self, values: NDArray) -> NDArray[np.float64]:
        """Return the step of each stream's first alarm, infinite if there is none."""
        found = np.full(values.shape[1], np.inf)
        for stream, detector in enumerate(self.detectors):
            for step, value in enumerate(values[:, stream].tolist()):
                detector.update(value)
                if detector.drift_detected:
                    found[stream] = step
                    break
        return found


class ADWINMany(RiverMany):
    """`river.drift.ADWIN`."""

    kind = ADWIN


class KSWINMany(RiverMany):
    """`river.drift.KSWIN` with a fixed seed."""

    @staticmethod
    def kind(**settings: float) -> KSWIN:
        return KSWIN(seed=1, **settings)


def first_alarms(detector: Many | RiverMany, values: NDArray) -> NDArray[np.float64]:
    """Return the step (from 0) of the first alarm of each stream of (steps, streams), infinite if there is none."""
    if isinstance(detector, RiverMany):
        return detector.first_alarms(values)
    found = np.full(values.shape[1], np.inf)
    for step, row in enumerate(values):
        new = detector.step(row) & np.isinf(found)
        found[new] = step
        if new.any() and not np.isinf(found).any():
            break
    return found


def largest_statistics(detector: Many, values: NDArray) -> NDArray[np.float64]:
    """Return each stream's largest statistic when no alarm interrupts it, shape (streams,)."""
    largest = np.full(values.shape[1], -np.inf)
    for row in values:
        np.maximum(largest, detector.statistic(row), out=largest)
    return largest
