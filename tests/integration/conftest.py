"""The API as a signed-in caller sees it, without a socket between."""

from collections.abc import Iterator

import pytest

from mailroom.assembly import build_api_services
from mailroom.coordination.fences import Fences
from scheduler_api.app import create_app
from tests.support.caller import Caller
from tests.support.doubts import DISPATCH, LANE
from tests.support.system import System


@pytest.fixture
def call(system: System) -> Iterator[Caller]:
    app = create_app(build_api_services(system.settings, app="tests"))
    with app.test_client() as client:
        yield Caller(client, system.token)


@pytest.fixture
def fences(system: System) -> Iterator[Fences]:
    made = Fences(system.settings.stores.redis_url, of=system.db.name)
    made._redis.delete(f"{{{LANE}}}:fence:{DISPATCH}", f"{{{LANE}}}:token")
    yield made
    made.close_client()
