"""What the rows become is a function of the log alone."""

import random
from dataclasses import replace

import pytest

from schemas.policy import default_policy
from tests.support.folding import FOLD_SETTINGS, HOUR, column, cuts_of, fold_log, random_cuts
from tests.support.logs import LogShape, random_log

FULL = replace(FOLD_SETTINGS, has_consensus=True, has_agreement=True, has_estimates=True, policy=default_policy())
SHORT_MEMORY = replace(FULL, retention=HOUR, annotator_retention=2 * HOUR, judgement_age_max=HOUR // 2)
SMALL_QUOTA = replace(SHORT_MEMORY, events_per_minute_max=2, new_items_per_day_max=25)
MORE = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8)]


@pytest.mark.parametrize("settings", [FULL, SHORT_MEMORY], ids=["long memory", "short memory"])
@pytest.mark.parametrize("seed", [0, *MORE])
@pytest.mark.parametrize("is_workflow", [False, True], ids=["labels", "workflow"])
def test_rows_do_not_depend_on_how_the_log_is_cut(seed, settings, is_workflow):
    """Cuts of 1, 7, 1,000 and random give the same rows in all tables, versions included."""
    lines = random_log(seed, LogShape(events=500, is_workflow=is_workflow))
    whole = fold_log(lines, settings=settings)
    assert whole["labels_versions"] and whole["confusion_versions"]
    assert whole["consensus_versions"] and whole["agreement_windows_versions"]
    assert any(column(whole, "annotators_versions", "accuracy_estimate").values())
    assert bool(whole["reviews_versions"] and whole["skips_versions"] and whole["reviewers_versions"]) == is_workflow
    for cuts in (
        cuts_of(len(lines), 1),
        cuts_of(len(lines), 7),
        cuts_of(len(lines), 1000),
        random_cuts(len(lines), seed),
    ):
        assert fold_log(lines, cuts=cuts, settings=settings) == whole


@pytest.mark.parametrize("settings", [FULL, SHORT_MEMORY, SMALL_QUOTA], ids=["long", "short", "quota"])
@pytest.mark.parametrize("seed", [0, *MORE])
def test_rows_do_not_depend_on_restarts(seed, settings):
    """Writing the state to bytes and reading it back at any time changes no row."""
    lines = random_log(seed, LogShape(events=500, is_workflow=bool(seed % 2)))
    whole = fold_log(lines, settings=settings)
    cuts = random_cuts(len(lines), seed)
    assert fold_log(lines, cuts=cuts, settings=settings, restarts=random.Random(seed)) == whole


@pytest.mark.parametrize("seed", range(3))
def test_a_replay_writes_the_same_versions(seed):
    """Folding a stretch of the log again from older state writes rows that are equal to those written before."""
    lines = random_log(seed)
    assert fold_log(lines, cuts=cuts_of(len(lines), 1)) == fold_log(lines, cuts=[100, *cuts_of(len(lines) - 100, 9)])


def test_generations_do_not_collide():
    """A higher generation gives higher versions and rows of its own."""
    lines = random_log(1)
    old, new = fold_log(lines), fold_log(lines, settings=replace(FOLD_SETTINGS, generation=1))
    for table, rows in old.items():
        assert rows.keys() == new[table].keys()
        for key, row in rows.items():
            assert new[table][key][-3] == 1 and new[table][key][-2] - row[-2] == 2**48


@pytest.mark.parametrize("seed", [0, *MORE])
def test_late_corrections_do_not_depend_on_how_the_log_is_cut(seed):
    """With disorder longer than the retention, corrections of what is about to be forgotten give the same rows too."""
    lines = random_log(seed, LogShape(events=500, disorder_seconds=6000, is_workflow=True))
    settings = replace(SHORT_MEMORY, has_consensus=False, has_estimates=False, policy=None)
    whole = fold_log(lines, settings=settings)
    for size in (1, 7):
        assert fold_log(lines, cuts=cuts_of(len(lines), size), settings=settings) == whole
