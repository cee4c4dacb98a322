"""The API as a signed-in caller sees it, without a socket between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailroom.assembly.api import build_api_services
from mailroom.coordination.fences import Fences
from tests.support.api_app import api_app
from tests.support.caller import Caller
from tests.support.doubts import DISPATCH, LANE
from tests.support.parted import Parted
from tests.support.sentinels import Sentinels
from tests.support.system import System


@pytest.fixture
def call(system: System) -> Iterator[Caller]:
    app = api_app(build_api_services(system.settings, app="tests"))
    with app.test_client() as client:
        yield Caller(client, system.token)
    for end in app.extensions["at_end"]:
        end()


@pytest.fixture
def fences(system: System) -> Iterator[Fences]:
    made = Fences(system.settings.stores.redis_url, of=system.db.name)
    made._redis.delete(f"{{{LANE}}}:fence:{DISPATCH}", f"{{{LANE}}}:token")
    yield made
    made.close_client()


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Sentinels]:
    """A Redis master with a replica, under three Sentinels."""
    with Sentinels.of(tmp_path / "group", servers=2) as made:
        yield made


@pytest.fixture
def parted_alone(group: Sentinels) -> Iterator[Parted]:
    """For a test that changes the group."""
    made = Parted(group)
    yield made
    made.close()


@pytest.fixture(scope="module")
def parted_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parted]:
    with Sentinels.of(tmp_path_factory.mktemp("group") / "redis", servers=2) as group:
        made = Parted(group, for_good=True)
        yield made
        made.close()


@pytest.fixture
def parted(parted_for_all: Parted) -> Parted:
    """Two masters that answer, and have forgotten the tests before."""
    parted_for_all.forget()
    return parted_for_all
