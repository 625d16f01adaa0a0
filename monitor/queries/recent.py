"""Rows of a range of time without reading all that a project has ever had.

Labels and items are sorted by what they are about, not by time, and the latest version of each is found by merging all
versions: for a day of a large project that is nearly all of the work. But versions grow with the log. What belongs to a
range has a version, its latest, that lies in the range. So it is no older than the oldest version in the range, and of
the versions from there on, the latest of a key is the latest of all.
"""

from dataclasses import dataclass

_KEYS = {
    "labels": "project_id, question_id, item_id, annotation_id",
    "items": "project_id, question_id, item_id",
}


_OLDEST = "if(count() = 0, 18446744073709551615, min(version))"
"""The oldest version, or where there is none, one that is newer than any."""


@dataclass(frozen=True, slots=True)
class Period:
    """How rows of a range of time are found.

    Parameters
    ----------
    view
        View that the query reads: ``labels`` or ``items``.
    of_key
        Conditions on the key: the scope, the project, the question, the item.
    of_time
        Conditions that limit the time.
    """

    view: str
    of_key: tuple[str, ...]
    of_time: tuple[str, ...]

    def applied(self, sql: str, *, database: str) -> str:
        """Return a SELECT with the rows of the range alone in the place of the view, which is read once."""
        history = f"{database}.{self.view}_history"
        key, time = " AND ".join(self.of_key), " AND ".join(self.of_time)
        before, after = sql.split(f"FROM {database}.{self.view}", maxsplit=1)
        return f"""{before}FROM
(
    SELECT * FROM {history}
    WHERE {key} AND version >= assumeNotNull((SELECT {_OLDEST} FROM {history} WHERE {key} AND {time}))
    ORDER BY version DESC
    LIMIT 1 BY {_KEYS[self.view]}
){after.replace("WHERE ", "WHERE NOT is_deleted AND ", 1)}"""
