"""What the flow and the tutorial's version have come to, in one form, so that they can be compared figure by figure."""

from typing import Any

Results = dict[str, list[list[Any]]]
"""Rows by table, sorted."""

_WINDOW = "toUnixTimestamp(window_start), toUInt64(labels)"
_GOLD = "toUInt64(gold_labels), gold_correct, duration_ms_sum"
_LABEL = (
    "project_id, question_id, item_id, annotation_id, annotator_id, label, ifNull(truth, ''), ifNull(score, -1.0),"
    " toUInt64(ifNull(duration_ms, 0)), toInt64(toUnixTimestamp64Micro(occurred_at))"
)

QUERIES = {
    "labels": f"SELECT count(), hex(groupBitXor(sipHash64({_LABEL}))) FROM labels",
    "annotators": "SELECT project_id, question_id, annotator_id, labels, gold_labels, gold_correct FROM annotators",
    "annotator_windows": f"SELECT project_id, question_id, annotator_id, {_WINDOW}, {_GOLD} FROM annotator_windows",
    "project_windows": f"SELECT project_id, question_id, {_WINDOW}, {_GOLD} FROM project_windows",
    "class_windows": f"SELECT project_id, question_id, label, {_WINDOW} FROM class_windows",
    "confusion": "SELECT project_id, question_id, annotator_id, truth, label, labels FROM confusion",
    "dead_letters": "SELECT hex(MD5(payload)) FROM dead_letters",
}
"""What must be equal, to the last digit; the names are those of our views."""


def flow_results(dsn: str) -> Results:
    """Return the results of our flow."""
    from sinks.clickhouse.client import connect

    client = connect(dsn)
    found = {table: _rows(client, query) for table, query in QUERIES.items()}
    client.close()
    return found


def tutorial_results(path: str) -> Results:
    """Return the results of the tutorial's version, from its tables under the names of our views."""
    import clickhouse_connect

    client = clickhouse_connect.get_client(interface="chdb", path=path)
    found = {}
    for table, query in QUERIES.items():
        final = "" if table == "dead_letters" else " FINAL"
        found[table] = _rows(client, query.replace(f"FROM {table}", f"FROM tutorial.{table}{final}"))
    client.close()
    return found


def differences(ours: Results, theirs: Results, *, shown_max: int = 3) -> list[str]:
    """Return in what two sets of results differ, a line a table; empty if in nothing.

    >>> differences({"labels": [["a", 1]]}, {"labels": [["a", 2]]})
    ["labels: 1 of 1 rows only in ours, such as [['a', 1]]; 1 of 1 only in theirs, such as [['a', 2]]"]
    """
    found = []
    for table in ours.keys() | theirs.keys():
        mine, other = ours.get(table, []), theirs.get(table, [])
        if mine != other:
            only_mine = [row for row in mine if row not in other]
            only_other = [row for row in other if row not in mine]
            found.append(
                f"{table}: {len(only_mine)} of {len(mine)} rows only in ours, such as {only_mine[:shown_max]}; "
                f"{len(only_other)} of {len(other)} only in theirs, such as {only_other[:shown_max]}"
            )
    return sorted(found)


def _rows(client: Any, query: str) -> list[list[Any]]:
    return sorted(list(row) for row in client.query(query).result_rows)
