"""All named queries."""

from monitor.queries.alerting import QUERIES_OF_ALERTS
from monitor.queries.cycles import QUERIES_OF_CYCLES
from monitor.queries.named import NamedQuery
from monitor.queries.of_statistics import QUERIES_OF_STATISTICS
from monitor.queries.of_views import QUERIES_OF_VIEWS
from monitor.queries.overviews import QUERIES_OF_OVERVIEWS
from monitor.queries.reviewing import QUERIES_OF_REVIEWING
from monitor.queries.slices import QUERIES_OF_SLICES
from monitor.queries.trends import QUERIES_OF_TRENDS
from monitor.queries.workflow import QUERIES_OF_WORKFLOW

QUERIES: dict[str, NamedQuery] = {
    query.name: query
    for query in (
        *QUERIES_OF_VIEWS,
        *QUERIES_OF_STATISTICS,
        *QUERIES_OF_ALERTS,
        *QUERIES_OF_OVERVIEWS,
        *QUERIES_OF_TRENDS,
        *QUERIES_OF_SLICES,
        *QUERIES_OF_WORKFLOW,
        *QUERIES_OF_REVIEWING,
        *QUERIES_OF_CYCLES,
    )
}
"""Named queries by name."""
