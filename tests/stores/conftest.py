"""The API as a signed-in caller sees it, without a socket between."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from mailroom.assembly import build_front
from scheduler_api.app import create_app
from tests.support.system import System


class Caller:
    """The API as a signed-in caller sees it."""

    def __init__(self, client: FlaskClient, token: str) -> None:
        self.client, self.headers = client, {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, **rest: Any) -> Any:
        return self.client.open(path, method=method, headers={**self.headers, **rest.pop("headers", {})}, **rest)


@pytest.fixture
def call(system: System) -> Iterator[Caller]:
    app = create_app(build_front(system.settings, app="tests"))
    with app.test_client() as client:
        yield Caller(client, system.token)
