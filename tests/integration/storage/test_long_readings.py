"""Readings of more documents than are in memory at once."""

import pytest
from pymongo import MongoClient

from mailroom.domain.errors import Unavailable
from mailroom.storage.database import Db, Document
from mailroom.storage.long_readings import each_of
from tests.chaos.proxy import Proxy, Way
from tests.support.system import System


def test_every_document_comes_once_and_in_order(db: Db) -> None:
    db.numbers.insert_many([{"_id": number} for number in range(1_234)])

    assert [doc["_id"] for doc in each_of(db.numbers.find().sort("_id", 1))] == list(range(1_234))


def test_a_server_that_goes_away_in_the_midst_of_a_long_reading_is_unavailable(system: System) -> None:
    system.db.numbers.insert_many([{"_id": number} for number in range(1_234)])
    way = Proxy(system.servers.ports.mongo)
    url = f"mongodb://127.0.0.1:{way.port}/?directConnection=true&serverSelectionTimeoutMS=1000"
    client: MongoClient[Document]
    with MongoClient(url) as client:
        rows = each_of(client[system.db.name].numbers.find())
        next(rows)
        way.way = Way.CUT

        with pytest.raises(Unavailable):
            list(rows)
    way.close()
