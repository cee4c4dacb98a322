"""Thousands of runs, on machines of the director. Their log lines would cost more than they do."""

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.interleavings.director import Violation
from tests.interleavings.machines import machines


class Quiet(structlog.make_filtering_bound_logger(logging.CRITICAL)):  # type: ignore[misc]
    """Says nothing. A sender goes on after a bug, which it logs with its traceback; here nothing may hide one."""

    def exception(self, event: str, **fields: Any) -> None:
        raise Violation(f"{event}: {fields}") from sys.exc_info()[1]


@pytest.fixture(autouse=True)
def quiet() -> None:
    structlog.configure(wrapper_class=Quiet)


@pytest.fixture(autouse=True)
def senders_run_on_the_directors_machines() -> Iterator[None]:
    with machines():
        yield
