"""Log lines: a constant event name plus fields, as JSON, or in colour at a terminal."""

import io
import logging
import os
import sys
from typing import Final, TextIO, cast

from cli.log_file import LingeringFile

_LATER: Final = io.StringIO()  # the lines of a command that answers, until it has answered


def set_up_logs() -> None:
    """Set up once, at the start of a process that serves. `MAILROOM_LOG_LEVEL` (info) sets what is shown."""
    _set_up(_level(), sys.stderr if sys.stderr.isatty() else cast(TextIO, LingeringFile(sys.stderr)))


def set_up_logs_of_a_command() -> None:
    """Set up once, before a command that answers: only warnings and errors are shown, and after the answer."""
    _set_up(max(_level(), logging.WARNING), _LATER)


def show_held_back() -> None:
    """Show the lines that were held back until the answer."""
    sys.stderr.write(_LATER.getvalue())
    _LATER.seek(0)
    _LATER.truncate()


def _level() -> int:
    level: int = getattr(logging, os.environ.get("MAILROOM_LOG_LEVEL", "info").upper(), logging.INFO)
    return level


def _set_up(level: int, file: TextIO) -> None:
    import structlog  # here: completion and help do without

    from cli.repeats import Repeats

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
        logger_factory=structlog.WriteLoggerFactory(file),
    )
    logging.basicConfig(level=logging.WARNING, stream=file)
