"""Consensus in one pass against batch methods: accuracy, calibration, order, speed.

Run with ``python -m benchmarks.consensus [--quick] [--json FILE]``. Real answers are looked for in
``../shared/data/crowd``; without them only speed and memory are measured. crowd-kit is a development dependency; where
it is absent its columns stay empty. Every order and draw is seeded.
"""

import argparse
import importlib.util
import json
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks import consensus_data as data
from benchmarks import consensus_scores as scores
from operators.stats.consensus.categorical import CategoricalConsensus
from operators.stats.consensus.ratings import RatingConsensus
from operators.stats.consensus.settings import ConsensusSettings

ORDERS, ORDERS_QUICK = 10, 3
KNOWN_SHARE = 0.1
BATCH_LABELS_MAX = {"dawid-skene": 200_000, "mace": 30_000, "glad": 30_000}
"""Sets with more labels than this are not given to the batch method, for it would take minutes to hours."""
SPEED_ITEMS, SPEED_ITEMS_QUICK = 200_000, 40_000


def one_pass(crowd: data.CrowdSet, seed: int, known: dict[str, str]) -> tuple[scores.Posteriors, CategoricalConsensus]:
    """Feed a set in a random order, known answers at random places; the posteriors in the state at the end."""
    consensus = CategoricalConsensus()
    columns = crowd.ordered(seed)
    places = np.random.default_rng([22, seed]).integers(0, len(columns[0]), len(known)).tolist()
    done = 0
    for place, (item, true) in sorted(zip(places, known.items(), strict=True)):
        consensus.add_many(*(column[done:place] for column in columns))
        consensus.set_known(item, {true: 1.0})
        done = place
    consensus.add_many(*(column[done:] for column in columns))
    items = list(crowd.truth)
    return {
        item: answer.posterior
        for item, answer in zip(items, consensus.answers(items), strict=True)
        if answer is not None
    }, consensus


def measure_set(crowd: data.CrowdSet, orders: int) -> dict:
    """All figures of the one-pass consensus on one set."""
    accuracies, errors, floors, known_errors, known_accuracies = [], [], [], [], []
    for seed in range(orders):
        posteriors, consensus = one_pass(crowd, seed, {})
        accuracies.append(scores.accuracy(posteriors, crowd.truth))
        errors.append(scores.calibration_error(posteriors, crowd.truth))
        floors.append(scores.noise_floor(posteriors, crowd.truth, seed))
        known, rest = split_known(crowd.truth, seed)
        posteriors, _ = one_pass(crowd, seed, known)
        known_errors.append(scores.calibration_error(posteriors, rest))
        known_accuracies.append(scores.accuracy(posteriors, rest))
    majority = crowd.vote_shares()
    return {
        "labels": len(crowd.items),
        "scored": len(crowd.truth),
        "accuracy": float(np.mean(accuracies)),
        "accuracy_min": min(accuracies),
        "accuracy_max": max(accuracies),
        "accuracy_deviation": float(np.std(accuracies, ddof=1)),
        "majority": scores.accuracy(majority, crowd.truth),
        "calibration_error": float(np.mean(errors)),
        "calibration_floor": float(np.mean(floors)),
        "calibration_error_majority": scores.calibration_error(majority, crowd.truth),
        "calibration_error_known": float(np.mean(known_errors)),
        "accuracy_known": float(np.mean(known_accuracies)),
        "items_evaluated_per_label": consensus.items_evaluated / consensus.events,
        "labels_evaluated_per_label": consensus.labels_evaluated / consensus.events,
        "weight_full": consensus.parameters().weight_full,
    }


def split_known(truth: dict[str, str], seed: int) -> tuple[dict[str, str], dict[str, str]]:
    """A random tenth of the true answers, and the rest."""
    names = sorted(truth)
    chosen = np.random.default_rng([23, seed]).permutation(len(names))[: round(KNOWN_SHARE * len(names))]
    known = {names[index]: truth[names[index]] for index in sorted(chosen.tolist())}
    return known, {item: true for item, true in truth.items() if item not in known}


def batch_methods() -> dict[str, Callable]:
    """Batch methods of crowd-kit by name; none if it is not installed."""
    if importlib.util.find_spec("crowdkit") is None:
        return {}
    from crowdkit.aggregation import GLAD, MACE, DawidSkene

    return {
        "dawid-skene": lambda: DawidSkene(n_iter=100, tol=-1),
        "mace": lambda: MACE(random_state=0),
        "glad": lambda: GLAD(),
    }


def measure_batch(crowd: data.CrowdSet, methods: dict[str, Callable], quick: bool) -> dict:
    """Accuracy and seconds of the batch methods on one set."""
    import pandas

    frame = pandas.DataFrame({"task": crowd.items, "worker": crowd.annotators, "label": crowd.classes})
    result: dict[str, float] = {}
    for name, make in methods.items():
        if len(crowd.items) > BATCH_LABELS_MAX[name] or (quick and name != "dawid-skene"):
            continue
        begin = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = make().fit_predict(frame).to_dict()
        posteriors = {item: {label: 1.0} for item, label in found.items()}
        result[name] = scores.accuracy(posteriors, crowd.truth)
        result[f"{name} seconds"] = time.process_time() - begin
    return result


def measure_speed(items: int, methods: dict[str, Callable]) -> dict:
    """Labels a second of CPU time at 5 labels an item and 5 classes; the batch method's beside it on a tenth."""
    crowd = data.simulated(items)
    columns = (crowd.items, crowd.annotators, crowd.classes, [str(n) for n in range(len(crowd.items))])
    result = {"labels": len(crowd.items)}
    consensus = CategoricalConsensus()
    begin = time.process_time()
    consensus.add_many(*columns)
    result["labels_a_second"] = len(crowd.items) / (time.process_time() - begin)
    result["items_evaluated_per_label"] = consensus.items_evaluated / consensus.events
    result["labels_evaluated_per_label"] = consensus.labels_evaluated / consensus.events
    asked = CategoricalConsensus()
    begin = time.process_time()
    for done in range(0, len(crowd.items), 1000):
        asked.add_many(*(column[done : done + 1000] for column in columns))
        asked.answers(dict.fromkeys(crowd.items[done : done + 1000]))
    result["labels_a_second_answers_each_1000"] = len(crowd.items) / (time.process_time() - begin)
    result["accuracy"] = scores.accuracy(
        {item: answer.posterior for item, answer in zip(crowd.truth, consensus.answers(crowd.truth), strict=True)},
        crowd.truth,
    )
    if "dawid-skene" in methods:
        small = data.simulated(items // 10)
        seconds = measure_batch(small, {"dawid-skene": methods["dawid-skene"]}, True)["dawid-skene seconds"]
        result["dawid_skene_100_iterations_labels_a_second"] = len(small.items) / seconds
    return result


def measure_ratings(orders: int) -> dict:
    """Mean absolute and root mean square error on numeric ratings, beside those of the mean."""
    rows, truth = data.read_ratings()
    absolute, square = [], []
    for seed in range(orders):
        consensus = RatingConsensus()
        for number in np.random.default_rng([24, seed]).permutation(len(rows)).tolist():
            consensus.add(*rows[number], str(number))
        errors = np.array([consensus.answer(item).value - true for item, true in truth.items()])
        absolute.append(float(np.abs(errors).mean()))
        square.append(float(np.sqrt((errors**2).mean())))
    values: dict[str, list[float]] = {}
    for item, _, value in rows:
        values.setdefault(item, []).append(value)
    mean = np.array([np.mean(values[item]) - true for item, true in truth.items()])
    return {
        "absolute_error": float(np.mean(absolute)),
        "absolute_error_min": min(absolute),
        "absolute_error_max": max(absolute),
        "root_mean_square_error": float(np.mean(square)),
        "absolute_error_of_mean": float(np.abs(mean).mean()),
        "root_mean_square_error_of_mean": float(np.sqrt((mean**2).mean())),
        "published_absolute_error_of_mean": 12.02,
        "published_absolute_error_lfc_n": 12.20,
    }


def measure_memory(items: int = 20_000) -> dict:
    """Bytes an open item takes at 5 labels and 5 classes, names and keys apart (they are the caller's)."""
    crowd = data.simulated(items)
    keys = [str(n) for n in range(len(crowd.items))]
    tracemalloc.start()
    consensus = CategoricalConsensus()
    consensus.add_many(crowd.items, crowd.annotators, crowd.classes, keys)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert consensus.events
    return {"bytes_an_item": held / items, "peak_bytes_an_item": peak / items}


def macro(results: dict[str, dict], names: tuple[str, ...], figure: str) -> float:
    """Mean of a figure over the sets that have it; NaN if one has not."""
    return float(np.mean([results[name].get(figure, np.nan) for name in names]))


def table(results: dict[str, dict]) -> Iterator[str]:
    """The report's lines on real sets."""
    yield "set            labels  ours [min max]         majority  D&S    MACE   GLAD   published D&S/best"
    for name, row in results.items():
        published = data.PUBLISHED.get(name, {})
        batch = "  ".join(f"{row[m]:.3f}" if m in row else "  -  " for m in ("dawid-skene", "mace", "glad"))
        beside = f"{published['dawid-skene']:.3f}/{published['best']:.3f}" if published else "-"
        ours = f"{row['accuracy']:.4f} [{row['accuracy_min']:.3f} {row['accuracy_max']:.3f}]"
        yield f"{name:14} {row['labels']:6}  {ours}  {row['majority']:.3f}     {batch}  {beside}"
    yield ""
    yield "set            calibration error: ours  floor  majority share  |  a tenth known: error, accuracy  |  a label"
    for name, row in results.items():
        yield (
            f"{name:14} {row['calibration_error']:24.3f}  {row['calibration_floor']:.3f}  "
            f"{row['calibration_error_majority']:14.3f}  |  {row['calibration_error_known']:20.3f}, "
            f"{row['accuracy_known']:.3f}  |  {row['items_evaluated_per_label']:.1f} items, "
            f"{row['labels_evaluated_per_label']:.1f} labels"
        )


def summary(results: dict[str, dict]) -> dict:
    """Macro-averages, over all sets and over either half, and the worst cases."""
    other = tuple(name for name in data.MACRO_SETS if name not in data.CHOOSING_SETS)
    figures = ("accuracy", "majority", "dawid-skene", "mace", "calibration_error", "calibration_floor",
               "calibration_error_majority", "calibration_error_known")  # fmt: skip
    halves = {"all 14": data.MACRO_SETS, "choosing half": data.CHOOSING_SETS, "other half": other}
    result: dict = {label: {f: macro(results, names, f) for f in figures} for label, names in halves.items()}
    large = [name for name, row in results.items() if row["labels"] >= 5000]
    ranges = {name: results[name]["accuracy_max"] - results[name]["accuracy_min"] for name in large}
    result["range over orders, sets of 5,000 labels or more"] = ranges
    behind = {name: row["accuracy"] - row["majority"] for name, row in results.items()}
    result["least gain on majority"] = min(behind.items(), key=lambda pair: pair[1])
    return result


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.consensus", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three orders, no MACE or GLAD, a shorter speed test")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--no-batch", action="store_true", help="leave crowd-kit's methods out")
    parser.add_argument("--sets", nargs="*", default=[*data.MACRO_SETS, *data.EXTRA_SETS], help="only these sets")
    options = parser.parse_args()
    methods = {} if options.no_batch else batch_methods()
    if not methods and not options.no_batch:
        print("crowd-kit is not installed: no batch methods beside ours")
    report: dict = {"settings": str(ConsensusSettings()), "sets": {}}
    if not data.available():
        print("no real answers: ../shared/data/crowd is absent, only speed and memory are measured")
    else:
        for name in options.sets:
            crowd = data.read(name)
            row = measure_set(crowd, ORDERS_QUICK if options.quick else ORDERS)
            report["sets"][name] = row | (measure_batch(crowd, methods, options.quick) if methods else {})
            print(f"{name} done", flush=True)
        print(*table(report["sets"]), sep="\n")
        report["ratings"] = measure_ratings(ORDERS_QUICK if options.quick else ORDERS)
        if set(report["sets"]) >= set(data.MACRO_SETS):
            report["summary"] = summary(report["sets"])
    report["speed"] = measure_speed(SPEED_ITEMS_QUICK if options.quick else SPEED_ITEMS, methods)
    report["memory"] = measure_memory()
    print(
        json.dumps({key: report[key] for key in ("summary", "ratings", "speed", "memory") if key in report}, indent=2)
    )
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
