"""A MongoDB of three members goes on for us when its primary does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailroom.domain.errors import Unavailable
from mailroom.storage import workers
from mailroom.storage.database import Db, connect
from tests.chaos.proxy import Way
from tests.support.clusters import Clusters, Member
from tests.support.system import wait_for

# A member that hangs is noticed after 5 s, and another is elected meanwhile; the rest is for a loaded machine.
_WITHIN_S = 25


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[Clusters]:
    with Clusters.of(tmp_path) as clusters:
        clusters.start_mongod()
        clusters.wait_until_well(clusters.mongo)
        yield clusters


def test_a_primary_that_hangs_is_noticed_and_the_next_one_is_used(replica_set: Clusters) -> None:
    """By its process, and by its way; the driver's own times let a sender wait for half a minute."""
    db = connect(replica_set.mongo_url.replace("/?", "/test?"), app="tests")
    assert _written(db)

    primary = _primary(replica_set)
    primary.freeze()
    wait_for(lambda: _written(db), within_s=_WITHIN_S, what="another primary is used")
    primary.thaw()
    replica_set.wait_until_well(replica_set.mongo)

    primary = _primary(replica_set)
    replica_set.cut_off(primary, Way.FROZEN)
    wait_for(lambda: _written(db), within_s=_WITHIN_S, what="another primary is used")
    db.client.close()


def _primary(replica_set: Clusters) -> Member:
    return wait_for(lambda: replica_set.leader("mongo"), within_s=20, what="there is a primary")


def _written(db: Db) -> bool:
    try:
        workers.check_in(db, "ann", [])
    except Unavailable:
        return False
    return True
