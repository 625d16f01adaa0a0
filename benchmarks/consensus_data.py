"""Real crowdsourcing answers with known truth, for the consensus benchmark."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "crowd"

MACRO_SETS = (
    "cf_amt", "cf_weather", "d_possent", "d_product", "duck_bluebird", "ms_genre", "rte", "s_adult", "sp_amt",
    "sp_polarity", "temp", "wsd", "zencrowd_in", "zencrowd_us",
)  # fmt: skip
"""The sets of the macro-average, in alphabetical order."""
EXTRA_SETS = ("s_rel",)
CHOOSING_SETS = MACRO_SETS[::2]
"""Every second set: the half on which settings are chosen. The other half is reported apart."""

PUBLISHED = {
    "d_product": {"majority": 0.8966, "dawid-skene": 0.9366, "best": 0.9378},
    "d_possent": {"majority": 0.9331, "dawid-skene": 0.9600, "best": 0.9600},
    "s_rel": {"majority": 0.5419, "dawid-skene": 0.6130, "best": 0.6164},
}
"""Accuracies of Zheng et al., Truth Inference in Crowdsourcing: Is the Problem Solved? PVLDB 10(5), 2017, table 6."""


@dataclass(frozen=True)
class CrowdSet:
    """Answers in file order, and the true class of the items that have one.

    Parameters
    ----------
    items, annotators, classes
        A column each of the answers, as strings.
    truth
        True class by item, only of items with at least one answer.
    """

    name: str
    items: list[str]
    annotators: list[str]
    classes: list[str]
    truth: dict[str, str]

    def ordered(self, seed: int) -> tuple[list[str], list[str], list[str], list[str]]:
        """The answers in a random order: items, annotators, classes, keys."""
        order = np.random.default_rng([20, seed]).permutation(len(self.items)).tolist()
        columns = (self.items, self.annotators, self.classes)
        items, annotators, classes = ([column[index] for index in order] for column in columns)
        return items, annotators, classes, [str(index) for index in order]

    def vote_shares(self) -> dict[str, dict[str, float]]:
        """Share of the votes by item and class; one person has one vote, the mean of their answers."""
        pairs: dict[tuple[str, str], int] = {}
        for pair in zip(self.items, self.annotators, strict=True):
            pairs[pair] = pairs.get(pair, 0) + 1
        shares: dict[str, dict[str, float]] = {}
        for item, annotator, label_class in zip(self.items, self.annotators, self.classes, strict=True):
            own = shares.setdefault(item, {})
            own[label_class] = own.get(label_class, 0.0) + 1.0 / pairs[item, annotator]
        return {item: {c: vote / sum(own.values()) for c, vote in own.items()} for item, own in shares.items()}


def available() -> bool:
    """Whether the data are there."""
    return FOLDER.is_dir()


def read(name: str) -> CrowdSet:
    """Read one set."""
    with (FOLDER / name / "answers.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["item"], row["worker"], row["label"]) for row in csv.DictReader(file)]
    with (FOLDER / name / "gold.csv").open(newline="", encoding="utf-8") as file:
        gold = {row["item"]: row["label"] for row in csv.DictReader(file)}
    items, annotators, classes = (list(column) for column in zip(*rows, strict=True))
    answered = set(items)
    truth = {item: label for item, label in gold.items() if item in answered}
    return CrowdSet(name, items, annotators, classes, truth)


def read_ratings(name: str = "n_emotion") -> tuple[list[tuple[str, str, float]], dict[str, float]]:
    """Ratings (item, annotator, value) in file order, and the true value by item."""
    with (FOLDER / name / "answers.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["item"], row["worker"], float(row["label"])) for row in csv.DictReader(file)]
    with (FOLDER / name / "gold.csv").open(newline="", encoding="utf-8") as file:
        truth = {row["item"]: float(row["label"]) for row in csv.DictReader(file)}
    return rows, truth


def simulated(items: int, *, labels: int = 5, classes: int = 5, annotators: int = 500, seed: int = 1) -> CrowdSet:
    """Items in work a few thousand at a time, annotators of accuracy Beta(8, 3); for measuring speed."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, items)
    item = np.repeat(np.arange(items), labels)
    item = item[np.argsort(item + 2000.0 * rng.random(len(item)), kind="stable")]
    annotator = rng.integers(0, annotators, len(item))
    right = rng.random(len(item)) < rng.beta(8, 3, annotators)[annotator]
    answer = np.where(right, truth[item], rng.integers(0, classes, len(item)))
    columns = (
        [f"{prefix}{number}" for number in values.tolist()]
        for prefix, values in zip("iac", (item, annotator, answer), strict=True)
    )
    return CrowdSet("simulated", *columns, {f"i{n}": f"c{true}" for n, true in enumerate(truth.tolist())})
