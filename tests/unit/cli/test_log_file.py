"""Lines of requests are written many at a time; every other line at once, and in order."""

import io

from cli.log_file import LingeringFile
from tests.support.system import wait_for


def write(file: LingeringFile, event: str) -> None:
    """As `print` does."""
    file.write(f'{{"event": "{event}"}}')
    file.write("\n")
    file.flush()


def test_lines_of_requests_wait_for_each_other_and_come_soon() -> None:
    behind = io.StringIO()
    file = LingeringFile(behind)

    for _ in range(3):
        write(file, "request")
    at_once = behind.getvalue()

    wait_for(lambda: behind.getvalue().count("\n") == 3, within_s=10, what="they are written")
    assert at_once == ""


def test_any_other_line_is_written_at_once_after_those_before_it() -> None:
    behind = io.StringIO()
    file = LingeringFile(behind)

    write(file, "request")
    write(file, "accepted_twice")

    assert behind.getvalue().splitlines() == ['{"event": "request"}', '{"event": "accepted_twice"}']


def test_no_more_than_so_many_lines_wait() -> None:
    behind = io.StringIO()
    file = LingeringFile(behind)

    file.write("x" * 300_000 + '"event": "request"')
    file.flush()

    assert len(behind.getvalue()) > 300_000
