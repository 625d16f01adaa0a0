"""Which alerts people want to hear nothing of for a while."""

import json
import sqlite3

from schemas.alerts import Alert


def silenced_until(connection: sqlite3.Connection, alert: Alert, now: int) -> int | None:
    """Return until when an alert is silenced, in microseconds since the epoch; None if it is not.

    Parameters
    ----------
    connection
        To the store.
    alert
        The alert.
    now
        Microseconds since the epoch.
    """
    silences = connection.execute("SELECT matchers, until FROM silences WHERE until > ?", (now,)).fetchall()
    return max((until for matchers, until in silences if matches(json.loads(matchers), alert)), default=None)


def matches(matchers: dict[str, str], alert: Alert) -> bool:
    """Return whether an alert agrees in all fields that a silence names."""
    return all(getattr(alert, name) == value for name, value in matchers.items())
