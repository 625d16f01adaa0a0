"""What became of each delivery, told to whoever keeps the table; and what need not be kept any longer."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from schemas.alerts import DELIVERY_KEY, DELIVERY_VALUES, DeliveryState
from sinks.hooks.store import transaction
from sinks.hooks.traits import MICROSECONDS

DAY_SECONDS = 86_400
KEPT_DAYS = 7
MARKS_KEPT_DAYS = 400
FIRING_KEPT_DAYS = 90
ROWS_MAX = 5_000

_UNREPORTED = f"""
SELECT id, version, {", ".join((*DELIVERY_KEY, *DELIVERY_VALUES))}, generation, kind = 'firing' AND EXISTS (
    SELECT 1 FROM acknowledgements a WHERE a.alert_id = deliveries.alert_id
) AS is_acknowledged FROM deliveries
WHERE is_reported = 0 AND kind <> 'acknowledged' AND state <> 'waiting' AND NOT (state = 'retrying' AND attempts = 0)
ORDER BY id LIMIT {ROWS_MAX}
"""
_OLD_DELIVERIES = """
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries
    WHERE taken_at < :before AND state NOT IN ('waiting', 'retrying') AND (is_reported = 1 OR kind = 'acknowledged')
        AND (due_at IS NULL OR taken_at < :firing_before) AND (
            kind <> 'firing' OR state NOT IN ('delivered', 'silenced') OR taken_at < :firing_before OR EXISTS (
                SELECT 1 FROM alerts a WHERE a.alert_id = deliveries.alert_id AND a.state = 'resolved'
            )
        )
    LIMIT :limit
)
"""
_OLD_ALERTS = """
DELETE FROM alerts WHERE taken_at < :before
    AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.alert_id = alerts.alert_id)
"""


Mark = tuple[int, int, str]
"""A delivery, the version of it that was reported, and its alert."""


class Reports:
    """Reads off what changed, from one thread.

    Parameters
    ----------
    connection
        To the store; nothing else uses it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def unreported(self) -> tuple[list[tuple[Any, ...]], list[Mark]]:
        """Return rows of ``alert_deliveries_versions`` that were not reported yet, and marks for `done`.

        The version of a row is the time of its last change in microseconds, or one more than the version before.
        """
        found = self._connection.execute(_UNREPORTED).fetchall()
        rows = [(*_told(row), row["generation"], row["version"], 0) for row in found]
        return rows, [(row["id"], row["version"], row["alert_id"]) for row in found]

    def done(self, marks: Sequence[Mark]) -> None:
        """Note that rows were reported, unless they have changed since.

        What was suppressed is forgotten at once, as a replay may hold years of it: the mark of its fingerprint stays.
        """
        with transaction(self._connection):
            self._connection.executemany(
                "UPDATE deliveries SET is_reported = 1 WHERE id = ? AND version = ?",
                [(delivery_id, version) for delivery_id, version, _ in marks],
            )
            self._connection.executemany(
                "DELETE FROM deliveries WHERE id = ? AND version = ? AND state = 'suppressed'",
                [(delivery_id, version) for delivery_id, version, _ in marks],
            )
            self._connection.executemany(
                "DELETE FROM alerts WHERE alert_id = :id AND NOT EXISTS"
                " (SELECT 1 FROM deliveries WHERE alert_id = :id)",
                [{"id": alert_id} for alert_id in sorted({alert_id for _, _, alert_id in marks})],
            )

    def prune(self, now: int) -> None:
        """Forget what is over and has been reported for a week, and what nobody resolved within months."""
        day = DAY_SECONDS * MICROSECONDS
        values = {
            "before": now - KEPT_DAYS * day, "firing_before": now - FIRING_KEPT_DAYS * day, "limit": ROWS_MAX,
        }  # fmt: skip
        with transaction(self._connection):
            self._connection.execute(_OLD_DELIVERIES, values)
            self._connection.execute(_OLD_ALERTS, {"before": values["before"]})
            self._connection.execute("DELETE FROM marks WHERE seen_at < ?", (now - MARKS_KEPT_DAYS * day,))
            self._connection.execute("DELETE FROM silences WHERE until < ?", (values["before"],))
            self._connection.execute("DELETE FROM acknowledgements WHERE acted_at < ?", (values["firing_before"],))


def _told(row: sqlite3.Row) -> list[Any]:
    values = {name: row[name] for name in (*DELIVERY_KEY, *DELIVERY_VALUES)}
    if row["is_acknowledged"] and row["state"] == DeliveryState.DELIVERED:
        values["state"] = DeliveryState.ACKNOWLEDGED.value
    return list(values.values())


def counts_by_hook(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """Return for each hook whether it is in use, and how many deliveries are in which state.

    Deliveries that are over are forgotten after a week.
    """
    found = connection.execute(
        "SELECT name, disabled_at, sum(d.state IN ('waiting', 'retrying')) AS waiting,"
        " sum(d.state = 'delivered') AS delivered,"
        " sum(d.state = 'dead') AS dead FROM hooks LEFT JOIN deliveries d ON d.hook = name GROUP BY name"
    )
    return {
        row["name"]: {
            "state": "in use" if row["disabled_at"] is None else "disabled",
            **{name: row[name] or 0 for name in ("waiting", "delivered", "dead")},
        }
        for row in found
    }
