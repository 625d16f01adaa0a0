"""Runs the rules of a policy over told events, with figures from a dictionary."""

from typing import Any

import msgspec

from operators.rules.causes import Evidence
from operators.rules.engine import RuleEngine
from operators.rules.state import RuleState
from schemas.alerts import Alert
from schemas.policy import read_policy
from schemas.signals import Scope

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
START = 1_767_600_000 * SECOND


class RuleBench:
    """An engine with figures that the test sets.

    Parameters
    ----------
    rules
        As a policy file holds them.
    options
        Of the policy besides.
    """

    def __init__(self, *rules: dict[str, Any], **options: Any) -> None:
        self.policy = read_policy({"rules": list(rules), **options}).for_project("p")
        self.figures: dict[tuple[Any, ...], float | None] = {}
        self.evidence = Evidence([], [], [], [])
        self.state = RuleState()
        self.version = 0
        self.asked: list[str] = []
        self.engine = self._engine()

    def _engine(self) -> RuleEngine:
        return RuleEngine(
            self.policy,
            self.state,
            generation=0,
            project_id="p",
            read_signal=self._signal,
            read_evidence=lambda signal, since: self.evidence,
        )

    def _signal(self, scope: Scope, key: tuple[str, str, str, str], name: str) -> float | None:
        self.asked.append(name)
        return self.figures.get((*key, name), self.figures.get((name,)))

    def restart(self) -> None:
        """Go on from the bytes of the state."""
        self.state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.state), type=RuleState)
        self.engine = self._engine()

    def next_version(self) -> int:
        """Return the version of the next record."""
        self.version += 1
        return self.version

    def annotator(self, at: int = START, **figures: float | None) -> list[Alert]:
        """Set figures of annotator a in question q, and ask all rules."""
        self.figures |= {("q", "a", "", "", name): value for name, value in figures.items()}
        return self.engine.on_annotator("q", "a", at, self.next_version())
