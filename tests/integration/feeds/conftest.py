"""A web server for feeds."""

from collections.abc import Iterator

import pytest

from tests.support.feed_server import FeedServer, a_feed_server


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with a_feed_server() as made:
        yield made
