"""Drift detectors against River's: false alarms, delays after a change, real sequences, cost.

``python -m benchmarks.drift [--quick] [--json FILE]``
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import drift_consensus as consensus
from benchmarks import drift_measure as measure
from benchmarks import drift_river as river
from benchmarks.drift_streams import (
    SCENARIOS,
    Scenario,
    as_river_input,
    draw,
    draw_stable,
    real_durations,
    real_errors,
)

SEED = 6
BASE_RATES = (0.01, 0.02, 0.05, 0.10, 0.20, 0.30, 0.40)
CONSENSUS_PROMISE = 100.0
QUIETS = (100, 500, 5000)
BINARY = {
    "PageHinkley": river.PageHinkleyMany,
    "DDM": river.DDMMany,
    "EDDM": river.EDDMMany,
    "HDDM_A": river.HDDMAMany,
    "HDDM_W": river.HDDMWMany,
}
DELTAS = {"error": (0.005, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.12), "speed": (0.1, 0.2, 0.3, 0.35, 0.4)}
ADWIN_DELTAS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.002)
CONFIDENCES = (0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 3e-5, 1e-5)


@dataclass(frozen=True)
class Size:
    """How much is simulated."""

    annotators: int
    steps: int
    runs: int
    after: int
    tuning: int
    adwin: int
    kswin: int
    shuffles: int
    quiets: tuple[int, ...]
    team: int
    rounds: int


FULL = Size(10_000, 2000, 400, 1500, 4000, 500, 10, 60, QUIETS, 300, 3000)
QUICK = Size(500, 1000, 100, 600, 400, 60, 0, 1, (100, 500), 60, 300)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return 0 if every target that was measured is met."""
    parser = argparse.ArgumentParser(prog="benchmarks.drift", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller simulation, in under a minute")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else FULL
    started = time.monotonic()
    report = {"promise_per_100k": measure.PROMISE_PER_MILLION / 10, "seed": SEED}
    report["stable"] = false_alarms(size)
    report["river_stable"] = river_false_alarms(size)
    report["real"] = real_sequences(size)
    report["consensus"] = without_known_answers(size)
    report["delays"] = delays(size, report["stable"])
    report["cost"] = costs()
    verdicts = targets(report)
    report["targets"] = verdicts
    report["seconds"] = round(time.monotonic() - started)
    print(f"\n{sum(verdicts.values())} of {len(verdicts)} targets met; {report['seconds']} s")
    if options.json:
        options.json.write_text(json.dumps(_without_infinity(report), indent=1), encoding="utf-8")
    return 0 if all(verdicts.values()) else 1


def _without_infinity(value: object) -> object:
    """Return the report with infinite figures as null, which JSON can hold."""
    if isinstance(value, dict):
        return {name: _without_infinity(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinity(part) for part in value]
    return None if value == float("inf") else value


def _rates(early: measure.Rate, late: measure.Rate) -> dict:
    return {
        part: {"per_100k": rate.per_100k, "interval": rate.interval, **asdict(rate)}
        for part, rate in (("first_200", early), ("after_200", late))
    }


def false_alarms(size: Size) -> dict:
    """Measure our false alarms on stable annotators: at each base rate, alone and in one project, and mixed."""
    print(f"False alarms per 100,000 judgements, {size.annotators:,} stable annotators × {size.steps:,} judgements")
    print(f"{'error rate':>32}  {'judgements 1–200':40} after [95 % Poisson interval] (alarms/judgements)")
    found = {}
    for learns in (True, False):
        for base in BASE_RATES:
            name = f"{base:.2f}" + ("" if learns else ", nothing learnt of others")
            rates = np.full(size.annotators, base)
            pairs = measure.stable_errors(rates, np.zeros(len(rates), np.int64), size.steps, SEED, learns=learns)
            found |= _told_rates([name], pairs)
    groups = np.arange(size.annotators) % len(BASE_RATES)
    pairs = measure.stable_errors(np.array(BASE_RATES)[groups], groups, size.steps, SEED, learns=True)
    found |= _told_rates([f"{base:.2f}, all in one project" for base in BASE_RATES], pairs)
    return found | _unlike(size)


def _unlike(size: Size) -> dict:
    """Measure those who are unlike colleagues who are all alike, of whom the project has three in a hundred."""
    found, half = {}, size.annotators // 2
    for base, unlike in ((0.05, 0.10), (0.05, 0.20), (0.10, 0.05)):
        groups = ((np.arange(size.annotators) % 33 == 0) | (np.arange(size.annotators) >= half)).astype(np.int64)
        rates = np.array((base, unlike))[groups]
        pairs = measure.stable_errors(rates, groups, size.steps, SEED, learns=True, others=half)
        names = [f"{base:.2f}, 3 % of others at {unlike:.2f}", f"{unlike:.2f}, among others at {base:.2f}"]
        found |= _told_rates(names, pairs)
    return found


def _told_rates(names: list[str], pairs: list[tuple[measure.Rate, measure.Rate]]) -> dict:
    for name, (early, late) in zip(names, pairs, strict=True):
        print(f"{name:>32}  {early!s:40} {late}", flush=True)
    return {name: _rates(early, late) for name, (early, late) in zip(names, pairs, strict=True)}


def river_false_alarms(size: Size) -> dict:
    """Measure River's detectors at their defaults on the same kind of streams."""
    print("\nRiver at its defaults, first alarms per 100,000 judgements")
    print(f"{'error rate':>12}  " + "  ".join(f"{name:>11}" for name in ("ADWIN", *BINARY)))
    found = {}
    for base in BASE_RATES:
        values = (np.random.default_rng([SEED, 1]).random((size.steps, size.tuning // 4)) < base) * 1.0
        row = {"ADWIN": measure.rate_of_first(_first(river.ADWINMany, values[:, : size.adwin]), size.steps)}
        row |= {name: measure.rate_of_first(_first(kind, values), size.steps) for name, kind in BINARY.items()}
        print(f"{base:12.2f}  " + "  ".join(f"{rate:11.1f}" for rate in row.values()), flush=True)
        found[f"{base:.2f}"] = row
    return found


def _first(kind: type, values: np.ndarray, **settings: float) -> np.ndarray:
    return river.first_alarms(kind(values.shape[1], **settings), values)


def real_sequences(size: Size) -> dict:
    """Measure our false alarms on real sequences shuffled."""
    print("\nReal sequences, shuffled so that no drift exists")
    found = {}
    for title, kind, learns, projects in (
        ("errors against gold", "error", True, real_errors()),
        ("errors against gold, nothing learnt of others", "error", False, real_errors()),
        ("seconds per answer", "speed", False, real_durations()),
    ):
        if not projects:
            print(f"{title}: ../shared/data/crowd is not there, skipped")
            continue
        early, late = measure.Rate(), measure.Rate()
        for sequences in projects.values():
            first, then = measure.shuffled_rates(kind, sequences, size.shuffles, SEED, learns=learns)
            early, late = early + first, late + then
        workers = sum(map(len, projects.values()))
        print(f"{title}: {workers} workers of {len(projects)} data sets × {size.shuffles} shuffles")
        print(f"    first 200 {early}; after {late}", flush=True)
        found[title] = _rates(early, late) | {"workers": workers}
    return found


def without_known_answers(size: Size) -> dict:
    """Measure the promise, and the delay, where labels are held against what others answered."""
    errors = np.tile([0.05, 0.1, 0.2], size.team // 3)
    accurate = np.full(len(errors), 1.0 - errors.mean())
    print(
        f"\nWithout known answers: {len(errors)} annotators of error rates .05, .10 and .20, four labels an item; "
        f"the promise is {CONSENSUS_PROMISE / 10:g} per 100,000"
    )
    found = {}
    for title, options in (
        ("accuracies known to the consensus", {}),
        ("all believed alike", {"believed": accurate}),
        ("every second mistake shared", {"shared": 0.5}),
        ("every second mistake shared, 5 % known", {"shared": 0.5, "known": 0.05}),
    ):
        team = consensus.Team(errors, votes=4, **options)
        alarms, judgements = consensus.stable_alarms(team, errors, size.rounds, SEED, CONSENSUS_PROMISE)
        rate = measure.Rate(alarms, judgements)
        print(f"{title:>40}  {rate}", flush=True)
        found[title] = {"per_100k": rate.per_100k, "interval": rate.interval, **asdict(rate)}
    before, after = np.full(len(errors), 0.05), np.full(len(errors), 0.05)
    after[::10] = 0.20
    seen = consensus.delays(consensus.Team(before, votes=4), before, after, 500, size.after, SEED)
    median, missed = float(np.median(seen)), int(np.isinf(seen).sum())
    print(f"{'error .05 → .20 after 500 labels':>40}  median delay {median:.0f} labels, {missed} of {len(seen)} missed")
    return found | {"delay": {"median": median, "missed": missed, "runs": len(seen)}}


def delays(size: Size, stable: dict) -> list[dict]:
    """Measure all detectors on all scenarios."""
    print(f"\nMedian delay in judgements, {size.runs} runs each, {size.after} judgements after the change")
    found = []
    for scenario in SCENARIOS:
        for quiet in size.quiets:
            row = _scenario(scenario, quiet, size, _our_rate(stable, scenario))
            found.append(row)
            _print_row(row)
    return found


def _our_rate(stable: dict, scenario: Scenario) -> float:
    """Return our measured rate at the scenario's base rate: what River is tuned to."""
    rates = stable.get(f"{scenario.before:.2f}") if scenario.signal != "speed" else None
    if rates is None:
        return measure.PROMISE_PER_MILLION / 10
    parts = rates.values()
    return sum(part["alarms"] for part in parts) / sum(part["judgements"] for part in parts) * 1e5


def _scenario(scenario: Scenario, quiet: int, size: Size, target: float) -> dict:
    values = draw(scenario, size.runs, quiet, size.after, np.random.default_rng([SEED, quiet]))
    first, changed = _ours(scenario, values, measure.COLLEAGUES, quiet, 0.0)
    ours = measure.delay_of(first, quiet)
    seen = changed[(first >= quiet) & np.isfinite(first)]
    inputs = as_river_input(scenario, values)
    kinds = {"PageHinkley": river.PageHinkleyMany} if scenario.signal == "speed" else BINARY
    default = {"ADWIN": measure.delay_of(_first(river.ADWINMany, inputs), quiet)}
    default |= {name: measure.delay_of(_first(kind, inputs), quiet) for name, kind in kinds.items()}
    if size.kswin and quiet <= 500:
        default["KSWIN"] = measure.delay_of(_first(river.KSWINMany, inputs[: quiet + 500, : size.kswin]), quiet)
    return {
        "scenario": scenario.name,
        "is_abrupt_error": scenario.is_abrupt_error,
        "quiet": quiet,
        "bound": measure.bound(scenario),
        "tuned_to_per_100k": target,
        "ours": asdict(ours),
        "ours_alone": asdict(measure.delay_of(_ours(scenario, values, 0, quiet, 0.0)[0], quiet)),
        "ours_diverse": asdict(measure.delay_of(_ours(scenario, values, measure.COLLEAGUES, quiet, 50.0)[0], quiet)),
        "change_time_error_median": float(np.median(seen - quiet)) if len(seen) else None,
        "change_time_error_absolute_median": float(np.median(np.abs(seen - quiet))) if len(seen) else None,
        "default": {name: asdict(delay) for name, delay in default.items()},
        "tuned": {name: asdict(delay) for name, delay in _tuned(scenario, quiet, inputs, size, target).items()},
        "limits": _limits(scenario, quiet, values, size, target) if scenario.is_abrupt_error else {},
    }


def _ours(
    scenario: Scenario, values: np.ndarray, colleagues: int, quiet: int, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return our first alarms among colleagues who do not change: with the same law, or laws spread about it."""
    random = np.random.default_rng([SEED, quiet, 2])
    others = draw_stable(scenario, colleagues, len(values), strength, random)
    bank = measure.our_bank(scenario.signal, colleagues + values.shape[1])
    return measure.our_first_alarms(bank, np.concatenate([others, values], axis=1), colleagues)


def _limits(scenario: Scenario, quiet: int, values: np.ndarray, size: Size, target: float) -> dict:
    """Measure the detectors that are told the rate after the change, and the base rate or not."""
    stable = draw(scenario, size.tuning, max(size.steps, quiet), 0, np.random.default_rng([SEED, 7]))
    return {
        name: asdict(measure.limit_delay(scenario, stable, values, quiet, target, is_known))
        for name, is_known in (("rate after told", False), ("rates before and after told", True))
    }


def _tuned(scenario: Scenario, quiet: int, inputs: np.ndarray, size: Size, target: float) -> dict:
    """Tune each of River's detectors on stable streams as long as the scenario is quiet (at least as ours were)."""
    steps = max(size.steps, quiet)
    stable = as_river_input(scenario, draw(scenario, size.tuning, steps, 0, np.random.default_rng([SEED, 7])))
    is_speed = scenario.signal == "speed"
    deltas = DELTAS["speed" if is_speed else "error"]
    hinkley = [
        measure.tune_limit(river.PageHinkleyMany, "threshold", {"delta": delta, "is_rise_only": only}, stable, target)
        for delta in deltas
        for only in ((0,) if is_speed else (0, 1))
    ]
    threshold_only = [settings for settings in hinkley if settings["delta"] == deltas[0]]
    candidates = {
        "PageHinkley (threshold)": (river.PageHinkleyMany, threshold_only),
        "PageHinkley (threshold, delta, one-sided)": (river.PageHinkleyMany, hinkley),
        "ADWIN": (
            river.ADWINMany,
            _first_that_holds(river.ADWINMany, "delta", ADWIN_DELTAS, {}, stable[: size.steps, : size.adwin], target),
        ),
    }
    if not is_speed:
        part = stable[: size.steps, : size.tuning // 2]
        candidates |= {
            "DDM": (river.DDMMany, [measure.tune_limit(river.DDMMany, "drift_threshold", {}, stable, target)]),
            "EDDM": (river.EDDMMany, [measure.tune_limit(river.EDDMMany, "beta", {}, stable, target)]),
            "HDDM_A": (
                river.HDDMAMany,
                _first_that_holds(river.HDDMAMany, "drift_confidence", CONFIDENCES, {}, part, target),
            ),
            "HDDM_W": (
                river.HDDMWMany,
                [
                    settings
                    for share in (0.02, 0.05)
                    for settings in _first_that_holds(
                        river.HDDMWMany, "drift_confidence", CONFIDENCES, {"lambda_val": share}, part, target
                    )
                ],
            ),
        }
    return {name: measure.best_delay(kind, found, inputs, quiet) for name, (kind, found) in candidates.items()}


def _first_that_holds(kind: type, name: str, grid: tuple, fixed: dict, stable: np.ndarray, target: float) -> list[dict]:
    """Return the least strict setting of the grid that keeps the rate, as a list of one or none."""
    for value in grid:
        found = measure.tune_grid(kind, [fixed | {name: value}], stable, target)
        if found:
            return found
    return []


def _print_row(row: dict) -> None:
    best = min(row["tuned"].items(), key=lambda entry: entry[1]["median"])
    defaults = " ".join(f"{name} {delay['median']:.0f}" for name, delay in row["default"].items())
    tuned = " ".join(f"{name} {delay['median']:.0f}" for name, delay in row["tuned"].items())
    limits = ", ".join(f"{name} {delay['median']:.0f}" for name, delay in row["limits"].items())
    ours = measure.Delay(**row["ours"])
    print(
        f"{row['scenario']} after {row['quiet']}: ours {ours}, among colleagues who differ "
        f"{row['ours_diverse']['median']:.0f}, alone {row['ours_alone']['median']:.0f}, "
        f"log(ARL)/KL {row['bound']:.0f}, "
        f"change time off by {row['change_time_error_absolute_median']}\n    defaults: {defaults}\n    tuned to "
        f"{row['tuned_to_per_100k']:.2f}: {tuned}\n    best: {best[0]} ({best[1]['setting']}; dropped "
        f"{best[1]['dropped']})" + (f"\n    Shiryaev-Roberts with {limits}" if limits else ""),
        flush=True,
    )


def costs() -> dict:
    """Measure microseconds a judgement and bytes an annotator."""
    print("\nCost in µs a judgement (batches of 64, 1,000, 10,000 over 10,000 annotators), state in bytes")
    found = {}
    for signal in ("error", "class", "speed"):
        times = {str(batch): measure.cost(signal, batch) for batch in (64, 1000, 10_000)}
        size = measure.our_bank(signal, 1).bytes_per_annotator
        print(f"{signal:>6}: " + "  ".join(f"{value:.2f}" for value in times.values()) + f"   {size} bytes")
        found[signal] = {"microseconds": times, "bytes": size}
    return found


def targets(report: dict) -> dict[str, bool]:
    """Say of each target whether it is met."""
    verdicts = {}
    for base, parts in (report["stable"] | report["real"]).items():
        for part in ("first_200", "after_200"):
            verdicts[f"false alarms at {base}, {part}, ≤ 1.0"] = parts[part]["per_100k"] <= 1.0
    for title, found in report["consensus"].items():
        if "per_100k" in found:
            verdicts[f"false alarms without known answers, {title}, ≤ 10.0"] = (
                found["per_100k"] <= CONSENSUS_PROMISE / 10
            )
    for row in report["delays"]:
        name, ours = f"{row['scenario']} after {row['quiet']}", row["ours"]["median"]
        verdicts[f"{name}: half of ADWIN"] = ours <= row["default"]["ADWIN"]["median"] / 2
        verdicts[f"{name}: best tuned"] = ours <= min(delay["median"] for delay in row["tuned"].values())
        if row["is_abrupt_error"] and row["quiet"] == 500:
            verdicts[f"{name}: 1.3 × bound"] = ours <= 1.3 * row["bound"]
    for signal, found in report["cost"].items():
        verdicts[f"cost of {signal} ≤ 3 µs"] = max(found["microseconds"].values()) <= 3.0
        verdicts[f"state of {signal} ≤ 300 bytes"] = found["bytes"] <= 300
    print("\nTargets not met:")
    for name, is_met in verdicts.items():
        if not is_met:
            print(f"  {name}")
    return verdicts


if __name__ == "__main__":
    sys.exit(main())
