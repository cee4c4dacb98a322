"""A database twice: the stand-in of this process, which answers in a moment, and a real mongod, which is right.

Each test here runs on both. Where the stand-in differs the test fails, so nothing is ever believed on its word alone.
"""

import secrets
from collections.abc import Iterator

import mongomock
import pytest

from mailroom.storage.database import Db, connect


@pytest.fixture(params=["stand-in", "real"])
def db(request: pytest.FixtureRequest) -> Iterator[Db]:
    """An empty database, without indexes."""
    if request.param == "stand-in":
        yield mongomock.MongoClient(tz_aware=True).get_database("mailroom")
        return
    servers = request.getfixturevalue("servers")
    real = connect(servers.mongo_url.replace("/?", f"/test_{secrets.token_hex(6)}?"), app="tests")
    yield real
    real.client.drop_database(real.name)
    real.client.close()
