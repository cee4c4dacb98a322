"""Log lines: a constant event name plus fields, as JSON, or in colour at a terminal."""

import logging
import os
import sys

import structlog

from cli.repeats import Repeats


def set_up_logs() -> None:
    """Set up once, at the start of a process. `MAILROOM_LOG_LEVEL` (info) sets what is shown."""
    level = getattr(logging, os.environ.get("MAILROOM_LOG_LEVEL", "info").upper(), logging.INFO)
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            Repeats(),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
