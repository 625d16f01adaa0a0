"""Evaluates the rules of one project, event by event in log order and at ticks of the project's clock."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from operators.rules.behaviour import Behaviours
from operators.rules.causes import Evidence, discovery_level, find_cause, with_recent
from operators.rules.conditions import FindingTest, Leaf, holding_leaves
from operators.rules.rule_set import ReadyRule, RuleSet
from operators.rules.state import (
    NEVER,
    AlertKey,
    AnnotatorKey,
    CauseFinding,
    DriftFinding,
    RuleState,
    Standing,
    StandingKey,
)
from operators.rules.telling import Teller
from operators.rules.watchers import close_windows, count_label, note_activity, part_figure, part_of, take_silent
from schemas.alerts import Alert
from schemas.policy import ProjectPolicy
from schemas.signals import DRIFTS, Cause, Scope

TICK = 60_000_000
WHOLE_PROJECT: AlertKey = ("", "", "", "")

ReadSignal = Callable[[Scope, AlertKey, str], float | None]
"""Tells a signal of ``schemas.signals`` of somebody, by scope, key and name; None if it is not known."""
ReadEvidence = Callable[[str, int], Evidence]
"""Tells the present evidence of drift, by ``schemas.signals.DRIFTS``, of the annotators active since a time."""


class RuleEngine:
    """The rules of one project.

    It is told what happens, in log order, and returns the alerts that follow. Rules about annotators are asked at the
    events that may change their signals; those about the project, its steps and classes at ticks. How the log was cut
    into batches and the time of day play no part.

    Parameters
    ----------
    policy
        The project's policy.
    state
        What was remembered; changed in place.
    generation, project_id
        Parts of the alerts' ids.
    read_signal
        Asked for figures of the fold, as of the event that is being told, and only for those that a rule needs.
    read_evidence
        Asked at an alarm of a detector, where a rule asks for a common cause or there is an error control.

    Attributes
    ----------
    next_tick
        `on_tick` has something to do once the project's clock has reached this time.
    watches_submissions, watches_skips, watches_judgements, watches_reviews, watches_drift, watches_population
        Whether the calls of that kind can lead to anything; if not, they may be left out.
    """

    def __init__(
        self,
        policy: ProjectPolicy,
        state: RuleState,
        *,
        generation: int,
        project_id: str,
        read_signal: ReadSignal,
        read_evidence: ReadEvidence,
    ) -> None:
        self.rules = RuleSet(policy)
        self._state = state
        self._read_signal = read_signal
        self._read_evidence = read_evidence
        self._teller = Teller(project_id=project_id, generation=generation)
        self._behaviours = Behaviours(self.rules, state.behaviours)
        self._error_control = policy.error_control
        self._causes = self.rules.findings(is_common=True)
        self._timed = {key for key, standing in state.standings.items() if self._is_timed(key, standing)}
        self.next_tick = state.ticked_at + TICK if self.rules.rules else 2**62
        self._keeps_time = bool(self.rules.silences or self.rules.throughputs or self.rules.reads("no_events_for"))
        on = self.rules.of
        self._work = {cause: on(Scope.ANNOTATOR, cause) for cause in (Cause.SUBMISSION, Cause.SKIP)}
        self._judgement_rules = on(Scope.ANNOTATOR, Cause.JUDGEMENT)
        self._asks_each_submission = bool(self._behaviours.others(Cause.SUBMISSION))
        self._has_steps, self._has_classes = bool(on(Scope.STEP)), bool(on(Scope.CLASS))
        self._of_question = tuple(ready for ready in on(Scope.PROJECT) if Cause.TICK not in ready.test.causes())
        self._keeps_parts = self._has_steps or self._has_classes or bool(self._of_question)
        self.watches_submissions = self._keeps_time or self._keeps_parts or any(self._work.values())
        self.watches_skips = self.watches_submissions
        self.watches_drift = bool(on(Scope.ANNOTATOR, Cause.DRIFT) or self._causes)
        self.watches_judgements = bool(self._judgement_rules) or self.watches_drift or self._has_classes
        self.watches_population = bool(on(Scope.ANNOTATOR, Cause.POPULATION))
        self.watches_reviews = bool(on(Scope.ANNOTATOR, Cause.REVIEW)) or self._keeps_time or self._has_steps

    # What happens

    def on_submission(
        self,
        question_id: str,
        annotator_id: str,
        step: str,
        value: str,
        duration_ms: int | None,
        at: int,
        version: int,
    ) -> list[Alert]:
        """Take in a new label (its first revision): `value` as the label's class or canonical form."""
        if not self.watches_submissions:
            return []
        key = (question_id, annotator_id)
        if self._keeps_time:
            self._note_activity(key, step, at, is_label=True)
        if self._keeps_parts:
            self._count_label(question_id, step, value)
        is_news = self._behaviours.submitted(key, value, duration_ms)
        if not is_news and not self._asks_each_submission:
            return []
        return self._evaluate_work(Cause.SUBMISSION, key, at, version, is_news)

    def on_skip(self, question_id: str, annotator_id: str, step: str, at: int, version: int) -> list[Alert]:
        """Take in that an annotator declined an item."""
        if not self.watches_skips:
            return []
        key = (question_id, annotator_id)
        if self._keeps_time:
            self._note_activity(key, step, at, is_label=False)
        if self._has_steps:
            part_of(self._state, ("", step, "")).skips += 1
        self._behaviours.skipped(key)
        return self._evaluate_work(Cause.SKIP, key, at, version, True)

    def on_judgement(
        self, question_id: str, annotator_id: str, truth: str, value: str, is_correct: bool, at: int, version: int
    ) -> list[Alert]:
        """Take in the first judgement of a label against a known answer."""
        if not self.watches_judgements:
            return []
        self._behaviours.judged((question_id, annotator_id), truth, value, is_correct)
        if self._has_classes:
            counts = part_of(self._state, (question_id, "", truth))
            counts.judgements += 1
            counts.correct += is_correct
        return self._evaluate(self._judgement_rules, (question_id, annotator_id, "", ""), at, version)

    def on_agreement(
        self, question_id: str, annotator_id: str, is_agreeing: bool, at: int, version: int
    ) -> list[Alert]:
        """Take in whether a label agrees with what the others of its item answered, once that is sure."""
        if not self._behaviours.agreed((question_id, annotator_id), is_agreeing):
            return []
        rules = self.rules.of(Scope.ANNOTATOR, Cause.AGREEMENT)
        return self._evaluate(rules, (question_id, annotator_id, "", ""), at, version)

    def on_review(
        self, question_id: str, annotator_id: str, is_accepted: bool, at: int, version: int, step: str = "review"
    ) -> list[Alert]:
        """Take in the first review of an annotator's label, which was made in `step`."""
        if not self.watches_reviews:
            return []
        if self._keeps_time:
            self._state.seen["", "", step] = self._state.seen["", "", ""] = self._move(at)
        if self._has_steps:
            part_of(self._state, ("", step, "")).labels += 1
        self._behaviours.reviewed((question_id, annotator_id), is_accepted)
        rules = self.rules.of(Scope.ANNOTATOR, Cause.REVIEW)
        return self._evaluate(rules, (question_id, annotator_id, "", ""), at, version)

    def on_annotator(self, question_id: str, annotator_id: str, at: int, version: int) -> list[Alert]:
        """Ask all rules about an annotator whose figures have changed, since the others are known better."""
        return self._evaluate(self.rules.of(Scope.ANNOTATOR), (question_id, annotator_id, "", ""), at, version)

    def on_drift(self, question_id: str, annotator_id: str, finding: DriftFinding, version: int) -> list[Alert]:
        """Take in an alarm of a detector."""
        if not self.watches_drift:
            return []
        state, key = self._state, (question_id, annotator_id)
        self._move(finding.at)
        finding = msgspec.structs.replace(finding, discovery_level=self._level_of(key, finding))
        if self._error_control is not None and finding.discovery_level > self._error_control.level:
            return []
        state.drifts[finding.signal, question_id, annotator_id] = finding
        alerts = self._common_causes(key, finding, version)
        rules = self.rules.of(Scope.ANNOTATOR, Cause.DRIFT)
        return alerts + self._evaluate(rules, (question_id, annotator_id, "", ""), finding.at, version)

    @property
    def ticked_at(self) -> int:
        """Time of the last tick."""
        return self._state.ticked_at

    def on_tick(self, clock: int, version: int) -> list[Alert]:
        """Let the project's clock go on; call it at the record that brings the clock to `next_tick`, or later."""
        at = clock - clock % TICK
        if at < self.next_tick:
            return []
        self._state.ticked_at, self.next_tick = at, at + TICK
        self._move(at)
        alerts = self._evaluate_silent(at, version) + self._evaluate_timed(at, version)
        alerts += self._evaluate_parts(at, version)
        self._forget(at)
        return alerts

    def forget(self, question_id: str, annotator_id: str) -> None:
        """Begin anew with an annotator who is past the retention; what fires goes on firing."""
        key, state = (question_id, annotator_id), self._state
        state.behaviours.pop(key, None)
        state.seen.pop((*key, ""), None)
        for waiting in state.waiting.values():
            waiting.pop(key, None)
        for signal in DRIFTS:
            state.drifts.pop((signal, *key), None)

    # Evaluation

    def _evaluate(self, rules: Iterable[ReadyRule], key: AlertKey, at: int, version: int) -> list[Alert]:
        alerts: list[Alert] = []
        for ready in rules:
            is_concerned = ready.is_everywhere or ready.concerns(key)
            if is_concerned and (alert := self._evaluate_rule(ready, key, at, version)) is not None:
                alerts.append(alert)
        return alerts

    def _evaluate_rule(self, ready: ReadyRule, key: AlertKey, at: int, version: int) -> Alert | None:
        clock = self._move(at)
        standing_key = (ready.rule.name, *key)
        standing = self._state.standings.get(standing_key)
        is_firing = standing is not None and standing.is_firing
        read = partial(self._read, ready.rule.scope, key)
        if ready.test.holds(read, is_firing):
            if is_firing:
                standing.failing_since = None
                self._stand(ready, standing_key, standing)
                return None
            if standing is not None and clock < standing.quiet_until:
                return None
            return self._fire(ready, key, at, version)
        return self._resolve(ready, key, standing, at, version) if is_firing else None

    def _fire(self, ready: ReadyRule, key: AlertKey, at: int, version: int) -> Alert | None:
        figures: dict[str, Any] = {}
        for name, least in ready.rule.evidence.items():
            count = self._figure(ready.rule.scope, key, name)
            if count is None or count < least:
                return None
            figures[name] = count
        read = partial(self._read, ready.rule.scope, key)
        leaves = holding_leaves(ready.test, read, False)
        figures |= self._behaviours.figures(key[:2], leaves, self._state.drifts)
        standing = Standing(True, at, version, self._state.clock + ready.rule.cool_down)
        self._teller.reasons(ready, key, leaves, read, figures, standing)
        self._stand(ready, (ready.rule.name, *key), standing)
        return self._teller.alert(ready, key, standing, at, version)

    def _resolve(self, ready: ReadyRule, key: AlertKey, standing: Standing, at: int, version: int) -> Alert | None:
        if standing.failing_since is None:
            standing.failing_since = self._state.clock
        is_over = self._state.clock - standing.failing_since >= ready.rule.resolve_after
        if not is_over or version <= standing.fired_version:
            self._stand(ready, (ready.rule.name, *key), standing)
            return None
        standing.is_firing = False
        self._stand(ready, (ready.rule.name, *key), standing)
        return self._teller.alert(ready, key, standing, at, version)

    def _stand(self, ready: ReadyRule, key: StandingKey, standing: Standing) -> None:
        self._state.standings[key] = standing
        if self._is_timed(key, standing):
            self._timed.add(key)
        else:
            self._timed.discard(key)

    def _is_timed(self, key: StandingKey, standing: Standing) -> bool:
        ready = self.rules.by_name.get(key[0])
        is_waiting = not standing.is_firing or standing.failing_since is not None
        return ready is None or is_waiting or ready.is_timed

    # Readings

    def _read(self, scope: Scope, key: AlertKey, leaf: Leaf) -> Any:
        if not leaf.is_own:
            return self._figure(scope, key, leaf.signal)
        if isinstance(leaf, FindingTest):
            return self._cause(leaf) if leaf.is_common else self._drift(leaf, key)
        if leaf.signal == "no_events_for":
            seen = self._state.seen.get(key[:3])
            return None if seen is None else self._state.clock - seen
        if leaf.signal == "throughput_ratio":
            return self._throughput_ratio(scope, key)
        return self._behaviours.read(key[:2], leaf)

    def _figure(self, scope: Scope, key: AlertKey, name: str) -> float | None:
        if scope is Scope.STEP or scope is Scope.CLASS:
            return part_figure(self._state, (key[0], key[2], key[3]), name)
        return self._read_signal(scope, key, name)

    def _drift(self, leaf: FindingTest, key: AlertKey) -> DriftFinding | None:
        finding = self._state.drifts.get((leaf.signal, key[0], key[1]))
        if finding is None or leaf.leaf.direction not in ("any", finding.direction):
            return None
        is_past = self._state.clock - finding.at >= leaf.leaf.holds_for
        return None if is_past or self._is_part_of_cause(finding, key[:2]) else finding

    def _is_part_of_cause(self, finding: DriftFinding, key: AnnotatorKey) -> bool:
        cause = self._state.causes.get(finding.signal)
        return cause is not None and cause.direction == finding.direction and key in cause.members

    def _cause(self, leaf: FindingTest) -> CauseFinding | None:
        finding = self._state.causes.get(leaf.signal)
        if finding is None or leaf.leaf.direction not in ("any", finding.direction):
            return None
        return None if self._state.clock - finding.at >= leaf.leaf.holds_for else finding

    def _throughput_ratio(self, scope: Scope, key: AlertKey) -> float | None:
        for name, is_by_step, _ in self.rules.throughputs:
            if is_by_step is (scope is Scope.STEP) and (found := self._state.throughput.get((name, key[2]))):
                return found.ratio
        return None

    # Changes that come together

    def _level_of(self, key: AnnotatorKey, finding: DriftFinding) -> float:
        """Return the level at which error control over all annotators declares this change."""
        now = self._read_evidence(finding.signal, NEVER)
        return discovery_level(with_recent(now, {(finding.signal, *key): finding}, finding.signal, finding.at), key)

    def _common_causes(self, key: AnnotatorKey, finding: DriftFinding, version: int) -> list[Alert]:
        """Look for a common cause of which this alarm is part; its members' own alerts are resolved by it."""
        for test in self._causes:
            if test.signal != finding.signal:
                continue
            held = self._cause(test)
            if held is not None and held.direction == finding.direction:
                if abs(held.changed_at - finding.changed_at) <= test.leaf.within and key not in held.members:
                    held.members.append(key)
                continue
            oldest = self._state.clock - test.leaf.within
            active = self._read_evidence(finding.signal, oldest)
            now = with_recent(active, self._state.drifts, finding.signal, oldest)
            found = find_cause(test.leaf, now, finding.at)
            if found is not None:
                self._state.causes[finding.signal] = found
                return self._tell_cause(found, version)
        return []

    def _tell_cause(self, cause: CauseFinding, version: int) -> list[Alert]:
        alerts = self._evaluate(self.rules.of(Scope.PROJECT, Cause.DRIFT), WHOLE_PROJECT, cause.at, version)
        rules = self.rules.of(Scope.ANNOTATOR, Cause.DRIFT)
        for question_id, annotator_id in cause.members:
            alerts += self._evaluate(rules, (question_id, annotator_id, "", ""), cause.at, version)
        return alerts

    # Work and time

    def _evaluate_work(self, cause: Cause, key: AnnotatorKey, at: int, version: int, is_news: bool) -> list[Alert]:
        rules = self._work[cause] if is_news else self._behaviours.others(cause)
        return self._evaluate(rules, (*key, "", ""), at, version) if rules else []

    def _count_label(self, question_id: str, step: str, value: str) -> None:
        questions = self._state.questions
        questions[question_id] = questions.get(question_id, 0) + 1
        if self._has_steps:
            part_of(self._state, ("", step, "")).labels += 1
        if self._has_classes:
            part_of(self._state, (question_id, "", value)).labels += 1

    def _note_activity(self, key: AnnotatorKey, step: str, at: int, *, is_label: bool) -> None:
        state, clock = self._state, self._move(at)
        for name, _ in self.rules.silences:
            note_activity(state.waiting.setdefault(name, {}), key, clock)
        state.seen[(*key, "")] = state.seen["", "", step] = state.seen["", "", ""] = clock
        if is_label:
            for name, is_by_step, window in self.rules.throughputs:
                count_label(state, (name, step if is_by_step else ""), clock, window)

    def _evaluate_silent(self, at: int, version: int) -> list[Alert]:
        alerts: list[Alert] = []
        for name, bound in self.rules.silences:
            for key in take_silent(self._state.waiting.get(name, {}), at - int(bound)):
                alerts += self._evaluate([self.rules.by_name[name]], (*key, "", ""), at, version)
        return alerts

    def _evaluate_timed(self, at: int, version: int) -> list[Alert]:
        """Ask again what may have ceased to hold by time alone; let go what has cooled down."""
        alerts: list[Alert] = []
        for standing_key in sorted(self._timed):
            name, *key = standing_key
            standing, ready = self._state.standings[standing_key], self.rules.by_name.get(name)
            if ready is None or (not standing.is_firing and at >= standing.quiet_until):
                del self._state.standings[standing_key]
                self._timed.discard(standing_key)
            elif standing.is_firing:
                alerts += self._evaluate([ready], tuple(key), at, version)
        return alerts

    def _evaluate_parts(self, at: int, version: int) -> list[Alert]:
        """Ask the rules about the project, its questions, steps and classes."""
        for name, _, window in self.rules.throughputs:
            for (rule, _), counts in self._state.throughput.items():
                if rule == name and counts.window < at // window:
                    close_windows(counts, at // window)
        alerts = self._evaluate(self.rules.of(Scope.PROJECT, Cause.TICK), WHOLE_PROJECT, at, version)
        for question_id in self._state.questions if self._of_question else ():
            alerts += self._evaluate(self._of_question, (question_id, "", "", ""), at, version)
        of_step, of_class = self.rules.of(Scope.STEP), self.rules.of(Scope.CLASS)
        for question_id, step, label_class in list(self._state.parts) if of_step or of_class else ():
            if step:
                alerts += self._evaluate(of_step, ("", "", step, ""), at, version)
            elif label_class:
                alerts += self._evaluate(of_class, (question_id, "", "", label_class), at, version)
        return alerts

    def _forget(self, at: int) -> None:
        """Let go findings that no rule counts any more."""
        state = self._state
        longest = max((test.leaf.holds_for for test in self.rules.findings(is_common=False)), default=0)
        longest = max([longest, *(test.leaf.within for test in self._causes)])
        for key in [key for key, finding in state.drifts.items() if at - finding.at >= longest]:
            del state.drifts[key]
        longest = max((test.leaf.holds_for for test in self._causes), default=0)
        for signal in [signal for signal, finding in state.causes.items() if at - finding.at >= longest]:
            del state.causes[signal]

    def _move(self, at: int) -> int:
        """Let the clock go on to `at`, never back."""
        if at > self._state.clock:
            self._state.clock = at
        return self._state.clock
