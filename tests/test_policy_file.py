"""The policy file: what it may hold, mistakes with their lines, what holds for a project, sentences, the command."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.cli.main import run_arguments
from flows.policy import BYTES_MAX, load_policy, parse_policy
from operators.rules.explaining import explained, explained_rule
from schemas.errors import ConfigurationError
from schemas.policy import (
    Policy,
    default_policy,
    duration_text,
    parse_duration,
    policy_json_schema,
    read_policy,
)
from schemas.signals import SIGNALS, Scope

MINUTE = 60_000_000
RULE = {"name": "a", "when": {"signal": "accuracy", "below": 0.5}}


def mistakes_of(text: str) -> list[str]:
    """Return the lines of the error that a policy raises."""
    with pytest.raises(ConfigurationError) as raised:
        parse_policy(text.encode(), name="policy.yaml")
    assert raised.value.remedy
    return raised.value.message.splitlines()


def test_each_mistake_is_told_with_its_line_and_path():
    """Deep in nested conditions, flow style or block style, a mistake is told at the line of its key or entry."""
    text = """\
version: 1
hooks:
  team: {kind: slack, url: T0P-S3CRET}
rules:
  - name: a
    when:
      any:
        - all:
            - {signal: acuracy, below: 0.5}
            - signal: accuracy
        - {signal: accuracy,
           below: high}
    severity: dire
    cool_down: 5 parsecs
    colour: red
  - when: {x: 1}
    name: b
"""
    assert mistakes_of(text) == [
        "policy.yaml:3: hooks.team.url: should match pattern '^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$'",
        "policy.yaml:9: rules[0].when.any[0].all[0].signal: acuracy is none of the words it may be; "
        "did you mean accuracy?",
        "policy.yaml:10: rules[0].when.any[0].all[1]: should have one of below, at_most, above and at_least",
        "policy.yaml:12: rules[0].when.any[1].below: should be a valid number, unable to parse string as a number, "
        "not 'high'",
        "policy.yaml:13: rules[0].severity: should be 'info', 'warning', 'error' or 'critical', not 'dire'",
        "policy.yaml:14: rules[0].cool_down: should be a time such as 90s, 15m, 4h or 1d, not '5 parsecs'",
        "policy.yaml:15: rules[0].colour: is not known here",
        "policy.yaml:16: rules[1].when: should have one of signal, drift, common_cause, all and any",
    ]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("when: {signal: accuracy, below: 30}", "2: rules[0].when.below: is a share, from 0 to 1"),
        ("when: {drift: speed, direction: worse}", "2: rules[0].when.direction: of speed is one of any, faster"),
        ("when: {common_cause: speed}", "2: rules[0].when.common_cause: is known of the scope project only"),
        ("when: {signal: class_share, above: 0.5}", "2: rules[0].when.signal: class_share is not known of the scope"),
        ("when: {signal: agreement, last: 90, below: 0}", "2: rules[0].when.last: should be less than or equal to 64"),
        ("when: {signal: accuracy_low, last: 9, below: 0}", "2: rules[0].when.last: accuracy_low keeps no last"),
        ("when: {signal: agreement, below: 0.5}", "2: rules[0].when.signal: agreement of an annotator is asked of"),
        ("when: {signal: accuracy, of_at_least: 9, below: 0}", "2: rules[0].when.of_at_least: goes with last"),
        ("when: {signal: too_fast_share, last: 9, above: 0}", "2: rules[0].when.signal: faster_than says"),
        ("when: {signal: no_events_for, above: 30}", "2: rules[0].when.above: is a time of a second or more"),
        ("when: {signal: no_events_for, below: 4h}", "2: rules[0].when.below: is always so"),
        ("when: {signal: accuracy, window: 1h, below: 0}", "2: rules[0].when.window: goes with throughput_ratio"),
        ("when: {signal: labels, above: 1, hysteresis: -1}", "2: rules[0].when: hysteresis should not be negative"),
        ("when: {signal: labels, above: 1, below: 3}", "2: rules[0].when: should have one of below, at_most"),
        ("when: {all: []}", "2: rules[0].when.all: List should have at least 1 item"),
        ("when: {signal: labels, above: 1}, evidence: {accuracy: 1}", "2: rules[0].evidence.accuracy: is no count"),
        ("when: {signal: labels, above: 1}, hooks: [nobody]", "2: rules[0].hooks[0]: names nobody, which is not"),
    ],
)
def test_what_single_fields_do_not_show_is_told_too(rule, told):
    """Conditions that could never be evaluated as meant are refused when the file is read."""
    (line,) = mistakes_of(f"rules:\n - {{name: a, {rule}}}")
    assert line.startswith(f"policy.yaml:{told}"), line


def test_forms_that_hide_something_are_refused():
    """A key that stands twice, aliases that unfold without end, no YAML at all, and a file that is too large."""
    assert mistakes_of("rules: []\nrules: []") == ["policy.yaml:2: rules stands in line 1 already"]
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in pairwise("abcdefghijklm"))
    assert mistakes_of(bomb) == ["policy.yaml:2: the file has more than 100,000 values"]
    assert mistakes_of("a: &a [*a]") == ["policy.yaml:1: the file has more than 100,000 values"]
    assert mistakes_of("rules: [") == ["policy.yaml:1: expected the node content, but found '<stream end>'"]
    assert mistakes_of("rules: !!python/object:os.system []")[0].startswith("policy.yaml:1: could not determine a")
    assert mistakes_of("")[0] == "policy.yaml:1: rules: is missing"
    assert "bytes" in mistakes_of("#" * (BYTES_MAX + 1))[0]
    assert mistakes_of("- 1")[0].startswith("policy.yaml:1: should be a valid dictionary")


def test_two_rules_have_two_names():
    """The name is part of an alert's identity, so it is unique; both places are told."""
    text = yaml.safe_dump({"rules": [RULE, RULE | {"when": {"drift": "accuracy"}}]}, sort_keys=False)
    assert mistakes_of(text) == ["policy.yaml:6: rules[1].name: is the name of rules[0] as well"]


@given(st.integers(1, 10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
@settings(max_examples=60, deadline=None)
def test_times_are_read_as_they_are_written(number, unit):
    """A time keeps its meaning when it is written out and read again."""
    microseconds = parse_duration(f"{number}{unit}")
    assert parse_duration(duration_text(microseconds)) == microseconds


def test_a_policy_survives_being_written_out():
    """The default policy, written as JSON or YAML, is read as the same policy."""
    policy = default_policy()
    values = policy.model_dump(mode="json", exclude_none=True)
    assert read_policy(values) == policy
    assert parse_policy(yaml.safe_dump(values).encode(), name="p") == policy
    assert parse_policy(json.dumps(values).encode(), name="p") == policy
    assert load_policy(None) == policy


def test_what_holds_for_a_project():
    """Of the entries that match, the last that says something counts; rules are those whose patterns match."""
    policy = read_policy(
        {
            "false_alarms_per_million_judgements": 10,
            "error_control": {"level": 1e-6},
            "prices": {"annotate": 0.05},
            "projects": [
                {"match": ["tox-*"], "false_alarms_per_million_judgements": 5, "prices": {"annotate": 0.1}},
                {"match": ["tox-de", "x"], "error_control": "none", "attributes": ["team"]},
            ],
            "rules": [RULE | {"projects": ["tox-*"]}, RULE | {"name": "b"}, RULE | {"name": "c", "projects": ["x"]}],
        }
    )
    german, other = policy.for_project("tox-de"), policy.for_project("spam")
    assert (german.false_alarms_per_million_judgements, other.false_alarms_per_million_judgements) == (5, 10)
    assert (german.error_control, other.error_control.level) == (None, 1e-6)
    assert (german.prices, german.attributes) == ({"annotate": 0.1}, ("team",))
    assert [rule.name for rule in german.rules] == ["a", "b"]
    assert [rule.name for rule in other.rules] == ["b"]


def test_the_default_policy_needs_no_thresholds_of_its_user():
    """Without a file there are rules of drift, a common cause, low accuracy and skips, which tell no hook."""
    policy = default_policy()
    assert {rule.name for rule in policy.rules} == {
        "common-cause", "accuracy-drift", "agreement-drift", "class-use-drift", "rushing", "accuracy-low",
        "skips-in-a-row",
    }  # fmt: skip
    assert not policy.hooks
    assert not any(rule.hooks for rule in policy.rules)


def test_the_schema_names_every_signal_and_scope():
    """The printed JSON Schema holds all words that a rule may use."""
    text = json.dumps(policy_json_schema())
    for word in (*SIGNALS, *Scope, "common_cause", "false_alarms_per_million_judgements", "cool_down", "webhook"):
        assert f'"{word}"' in text, word
    assert policy_json_schema()["properties"]["rules"]


def test_unknown_parts_and_versions_are_refused():
    """A policy of another version, or with a name that is not known, is refused rather than half understood."""
    for values in ({"version": 2, "rules": []}, {"rules": [], "rule": []}, {}, []):
        with pytest.raises(ValidationError):
            read_policy(values)


def test_a_policy_is_told_in_sentences():
    """Each rule becomes one paragraph with its figures, joined conditions and consequences."""
    policy = Policy.model_validate(
        {
            "hooks": {"team": {"kind": "log"}},
            "prices": {"annotate": 0.05},
            "rules": [
                {
                    "name": "slow-and-wrong",
                    "when": {
                        "any": [
                            {"signal": "duration_ms_p50", "above": "90s"},
                            {"all": [{"drift": "accuracy"}, {"signal": "rework_rate", "at_least": 0.25}]},
                        ]
                    },
                    "questions": ["tox*"],
                    "resolve_after": "30m",
                    "cool_down": "1d",
                    "hooks": ["team"],
                    "action": "pause",
                }
            ],
        }
    )
    sentences = list(explained(policy))
    assert "A label of step 'annotate' costs 0.05 EUR." in sentences
    assert sentences[-1] == (
        "slow-and-wrong (warning): fires for an annotator when (the median time per answer is above 90.0 s or "
        "(one makes more or fewer errors than before (counted for 1d) and the share that needs rework is at least "
        "25 %)), in questions that match tox* only. It does not fire again within 1d. It is resolved once that has not "
        "been so for 30m. It recommends a pause and tells team."
    )
    for rule in default_policy().rules:
        assert explained_rule(rule).startswith(rule.name)


def test_the_command_checks_and_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`policy check` ends with 0 for a valid file and 3 with each mistake for another; explain and schema print."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("rules:\n - {name: a, when: {signal: accuracy, below: 0.5}}\n")
    bad.write_text("rules:\n - {name: a, when: {signal: accuracy}}\n")
    assert run_arguments(["policy", "check", str(good)]) == 0
    assert "good.yaml is valid: 1 rules, 0 hooks" in capsys.readouterr().out
    assert run_arguments(["policy", "check", str(bad)]) == 3
    assert "error: bad.yaml:2: rules[0].when: should have one of" in capsys.readouterr().err
    assert run_arguments(["policy", "check", str(tmp_path / "none.yaml")]) == 3
    assert run_arguments(["policy", "explain", str(good)]) == 0
    assert "a (warning): fires for an annotator when accuracy is below 50 %." in capsys.readouterr().out
    assert run_arguments(["policy", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "labelpulse policy, version 1"
    assert run_arguments(["policy", "test", str(good)]) == 3
