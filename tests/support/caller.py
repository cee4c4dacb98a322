"""The API as a signed-in caller sees it, without a socket between."""

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException


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


def problems(answer: Any) -> dict[str, str]:
    assert answer.content_type == "application/problem+json"
    return {error["path"]: error["message"] for error in answer.json["errors"]}
