"""Connections to MongoDB that end with the test that made them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pymongo import MongoClient


@contextmanager
def connections_closed_at_end() -> Iterator[None]:
    """Close what Mailroom's code connects to meanwhile.

    A connection that is left open has three threads, and asks its server every second whether it lives. After some
    hundred tests that was what a worker of the tests did most of the time.
    """
    made: list[MongoClient[Any]] = []

    def connected(*args: Any, **options: Any) -> MongoClient[Any]:
        made.append(MongoClient(*args, **options))
        return made[-1]

    with patch("mailroom.storage.database.MongoClient", connected):
        yield
    for client in made:
        client.close()
