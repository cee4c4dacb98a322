"""The short paths: `/schedules`, `/emails`, `/tokens` and `/token` are other names of their twins under `/v1`.

A short path is renamed before anything looks at the request. So each operation has one route: scopes, limits of bodies,
records of refused requests and the OpenAPI document know only the twin, and `Location` names `/v1`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from flask import Flask
from flask.ctx import RequestContext

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

TWINS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/schedules": "/v1/schedules",
        "/emails": "/v1/emails",
        "/tokens": "/v1/tokens",
        "/token": "/v1/tokens",
    }
)


def twin_of(path: str) -> str:
    """The path under `/v1` that a short path stands for; any other path as it is."""
    noun, slash, rest = path[1:].partition("/")
    twin = TWINS.get(f"/{noun}") if path.startswith("/") else None
    return f"{twin}{slash}{rest}" if twin else path


class AppWithTwins(Flask):
    """A Flask application to which a short path and its twin are the same request."""

    def request_context(self, environ: "WSGIEnvironment") -> RequestContext:
        """The one place through which every request comes, and every question of the server about a request's head."""
        return super().request_context({**environ, "PATH_INFO": twin_of(environ.get("PATH_INFO", ""))})
