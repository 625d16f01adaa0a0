"""Named queries on alerts and on what became of them."""

from monitor.queries.named import ANNOTATOR, PROJECT, QUESTION, NamedQuery, named_query

QUERIES_OF_ALERTS: tuple[NamedQuery, ...] = (
    named_query(
        "alerts",
        "alerts of the rules: those that fire first, the most severe and latest of them on top",
        view="alerts",
        columns=(
            "project_id", "question_id", "annotator_id", "step", "label_class", "alert_id", "rule", "severity", "state",
            "signal", "direction", "fired_at", "resolved_at", "changed_at", "summary", "figures", "action", "hooks",
            "false_alarm_value", "discovery_level",
        ),
        expressions={"figures": "evidence"},
        identifiers=(PROJECT, QUESTION, ANNOTATOR),
        time="fired_at",
        order=(
            "state", "indexOf(['critical', 'error', 'warning', 'info'], severity)", "fired_at DESC", "project_id",
            "alert_id",
        ),
    ),
    named_query(
        "alert-deliveries",
        "what became of each alert at each hook, the latest first",
        view="alert_deliveries",
        columns=(
            "project_id", "alert_id", "hook", "state", "attempts", "first_attempt_at", "last_attempt_at", "status_code",
            "error",
        ),
        identifiers=(PROJECT,),
        order=("last_attempt_at DESC", "project_id", "alert_id", "hook"),
    ),
)  # fmt: skip
