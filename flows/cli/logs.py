"""Log lines on standard error, ours and those of libraries, as text or JSON."""

import logging
from typing import Any, Protocol

import structlog


class Writable(Protocol):
    """Where log lines go."""

    def write(self, text: str, /) -> Any:
        """Take text."""

    def flush(self) -> Any:
        """Make it visible."""


def configure_logging(*, level: str, form: str, stream: Writable, has_colors: bool = False) -> None:
    """Send structlog's and the standard library's log lines to one stream.

    Parameters
    ----------
    level
        Least severity: ``debug``, ``info``, ``warning`` or ``error``.
    form
        ``text`` or ``json``: one line an event either way.
    stream
        Where lines go.
    has_colors
        Whether text may carry terminal colours.
    """
    shared = [structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    renderer = _renderer(form, has_colors=has_colors)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _renderer(form: str, *, has_colors: bool) -> list[Any]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [structlog.dev.ConsoleRenderer(colors=has_colors, pad_event_to=0, pad_level=False)]
