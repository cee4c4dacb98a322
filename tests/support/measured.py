"""Which tests `make test` measures the coverage of: a plugin, given with `-p`.

Measuring makes pure Python take twice as long. So tests that hold a time are left out, because it would be counted
against what they time; and so are tests that try tens of thousands of cases, whose lines others run through as well.
pytest-cov's own mark `no_cover` has no effect in a worker of xdist.
"""

import re
import sys
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

_TIMED: Final = re.compile(r"time\.(process_time|perf_counter|monotonic)\(\)")
_MANY_CASES: Final = {"test_rrule_table.py", "test_recurrence.py", "test_rejected_requests.py"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    if not _is_left_out(item.path):
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)


@cache
def _is_left_out(path: Path) -> bool:
    return path.name in _MANY_CASES or _TIMED.search(path.read_text()) is not None
