"""What a caller wants by its Accept header: a table of headers as programs send them."""

import pytest

from scheduler_api.media_types import prefers

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("application/json", True),
        ("Application/JSON", True),
        ("application/json;charset=utf-8", True),
        ("application/json, */*;q=0.5", True),
        ("text/plain;q=0.5, application/json;q=0.9", True),
        ("text/plain;q=0.9, application/json;q=0.5", False),
        ("text/plain;version=0.0.4;q=0.3, application/json;q=0.5", True),
        ("application/*", True),
        ("text/plain;q=0, */*", True),
        ("text/*;q=0.1, application/*;q=0.2", True),
        # A tie is for the text: the caller takes both.
        ("*/*", False),
        ("application/json, text/plain, */*", False),
        ("application/json, */*", False),
        ("text/*, application/*", False),
        ("application/json;q=0", False),
        ("application/json;q=0, */*;q=0", False),
        # Neither is taken: the text rather than nothing.
        ("text/html", False),
        ("", False),
        ("application/json;q=high", False),
        (";;;,,q=1", False),
        (CHROME, False),
        (PROMETHEUS, False),
    ],
)
def test_json_is_preferred_only_where_it_is_rated_higher_than_text(accept: str, json: bool) -> None:
    assert prefers(accept, "application/json", to="text/plain") is json
