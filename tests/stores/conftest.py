"""The API as a signed-in caller sees it, without a socket between."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException

from mailroom.assembly import build_api_services
from scheduler_api.app import create_app
from tests.support.system import System


class Caller:
    """The API as a signed-in caller sees it."""

    def __init__(self, client: FlaskClient, token: str) -> None:
        self.client, self.headers = client, {"Authorization": f"Bearer {token}"}
        self._paths = client.application.extensions["openapi"]()["paths"]

    def __call__(self, method: str, path: str, **rest: Any) -> Any:
        """Its answer, of a status that the OpenAPI document names."""
        answer = self.client.open(path, method=method, headers={**self.headers, **rest.pop("headers", {})}, **rest)
        operation = self._operation(method, path)
        if operation:
            assert str(answer.status_code) in operation["responses"], (answer.status_code, method, path, answer.text)
        return answer

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        app = self.client.application
        try:
            rule, _ = app.url_map.bind("localhost").match(path.partition("?")[0], method, return_rule=True)
        except HTTPException:
            return {}
        named = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        found: dict[str, Any] = self._paths.get(named, {}).get(method.lower(), {})
        return found


@pytest.fixture
def call(system: System) -> Iterator[Caller]:
    app = create_app(build_api_services(system.settings, app="tests"))
    with app.test_client() as client:
        yield Caller(client, system.token)
