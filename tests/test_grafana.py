"""Grafana: each statement of the provisioned dashboards runs on real rows and gives the columns that its panel uses."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from clickhouse_connect.driver.client import Client

from flows import metrics as flow_metrics
from flows.gateway.metrics import COUNTERS, PREFIX
from tests.support.clickhouse_rows import MINUTE, NINE, SECOND, migrated, write
from tests.support.monitored import CLOCK, world_labels, world_rows

FOLDER = Path(__file__).resolve().parent.parent / "docker" / "grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]]
CLICKHOUSE = "grafana-clickhouse-datasource"
FROM, TO = NINE - 60 * MINUTE, CLOCK + 60 * MINUTE
STEP_SECONDS = 900
METRIC = re.compile(r"\blabelpulse_\w+")
MACROS = {
    r"\$__timeFilter\((\w+)\)": rf"\1 >= toDateTime({FROM // SECOND}) AND \1 <= toDateTime({TO // SECOND})",
    r"\$__timeInterval\((\w+)\)": rf"toStartOfInterval(toDateTime(\1), INTERVAL {STEP_SECONDS} second)",
}
"""What the data source makes of its macros."""
SQL_PANELS = [
    (f"{name}: {panel['title']}", panel) for name, panel in PANELS if panel["datasource"]["type"] == CLICKHOUSE
]
METRIC_PANELS = [(panel["title"], panel) for _, panel in PANELS if panel["datasource"]["type"] == "prometheus"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A connection to a database with the small world in it."""
    with migrated(tmp_path_factory.mktemp("grafana")) as (dsn, client):
        write(dsn, world_rows(world_labels()))
        yield client


def written_out(sql: str, *, projects: tuple[str, ...]) -> str:
    """Return a statement as Grafana sends it."""
    for macro, meaning in MACROS.items():
        sql = re.sub(macro, meaning, sql)
    sql = sql.replace("${project:singlequote}", ",".join(f"'{project}'" for project in projects))
    assert "$" not in sql, "a macro or variable that is not known"
    return sql


def used_columns(panel: dict[str, Any]) -> set[str]:
    """Return the columns that a panel names."""
    names = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
    for one in panel["fieldConfig"]["overrides"]:
        assert one["matcher"]["id"] == "byName"
        names |= {held["value"] for held in one["properties"] if held["id"] == "custom.fillBelowTo"}
    fields = panel["options"].get("reduceOptions", {}).get("fields", "")
    return names | ({fields.strip("/^$")} if fields else set())


@pytest.mark.parametrize("panel", [panel for _, panel in SQL_PANELS], ids=[name for name, _ in SQL_PANELS])
def test_a_statement_gives_what_its_panel_uses(client: Client, panel: dict[str, Any]) -> None:
    """Rows come back with each column that the panel names; a trend has its time first, and figures."""
    for target in panel["targets"]:
        result = client.query(written_out(target["rawSql"], projects=("sentiment", "toxicity")))
        assert result.result_rows, "an empty panel shows nothing"
        assert used_columns(panel) <= set(result.column_names)
        if panel["type"] == "timeseries":
            assert target["format"] == 0 and result.column_names[0] == "time"
            times = [held[0] for held in result.result_rows]
            assert times == sorted(times) and all(isinstance(moment, datetime) for moment in times)
            assert any(isinstance(value, int | float) for value in result.result_rows[0][1:])


@pytest.mark.parametrize("panel", [panel for _, panel in SQL_PANELS], ids=[name for name, _ in SQL_PANELS])
def test_a_statement_reads_views_only(panel: dict[str, Any]) -> None:
    """No panel reads superseded rows, and none does anything but read."""
    for target in panel["targets"]:
        assert target["rawSql"].startswith("SELECT ")
        assert "_versions" not in target["rawSql"] and ";" not in target["rawSql"]


def test_the_choice_of_projects_is_quoted(client: Client) -> None:
    """The variable lists the projects; a choice of one shows that one's rows."""
    [variable] = DASHBOARDS["quality"]["templating"]["list"]
    assert [name for (name,) in client.query(variable["query"]).result_rows] == ["sentiment", "toxicity"]
    panel = next(panel for _, panel in PANELS if panel["title"] == "Labels")
    sql = written_out(panel["targets"][0]["rawSql"], projects=("toxicity",))
    assert client.query(sql).result_rows == [(20,)]


@pytest.mark.parametrize("panel", [panel for _, panel in METRIC_PANELS], ids=[name for name, _ in METRIC_PANELS])
def test_a_metric_of_a_panel_is_one_that_is_told(panel: dict[str, Any]) -> None:
    """Each metric that a panel asks Prometheus for is one that the gateway or the flow has."""
    known = {f"{PREFIX}{name}_total" for name in COUNTERS} | {f"{PREFIX}request_seconds_bucket"}
    known |= {f"{flow_metrics.PREFIX}{name}_total" for name in (*flow_metrics.COUNTERS, "events")}
    known |= {f"{flow_metrics.PREFIX}{name}" for name in (*flow_metrics.GAUGES, *flow_metrics.LABELLED)}
    named = {metric for target in panel["targets"] for metric in METRIC.findall(target["expr"])}
    assert named and named <= known


def test_panels_and_sources_fit_together() -> None:
    """Every panel names a data source that is provisioned; ids and places are not taken twice."""
    provisioned = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "labelpulse.yaml").read_text())
    sources = {source["uid"]: source["type"] for source in provisioned["datasources"]}
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
    for dashboard in DASHBOARDS.values():
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)
        assert all(sources[panel["datasource"]["uid"]] == panel["datasource"]["type"] for panel in dashboard["panels"])
