"""Adds to the OpenAPI document the errors that each operation may answer with.

They follow from the operation: each needs a token and refuses unknown parameters; a body may be wrong; an id in the
path may be unknown; the state of an object may not allow a change. Tests compare every answer with the document.
"""

from typing import Any, Final

from apispec import BasePlugin

from scheduler_api.problems import PROBLEM

_PROBLEM_SCHEMA: Final = {"$ref": "#/components/schemas/Problem"}
_ALWAYS: Final = ("UNAUTHORIZED", "FORBIDDEN", "UNPROCESSABLE_ENTITY", "TOO_MANY_REQUESTS", "SERVICE_UNAVAILABLE")
_OF_BODIES: Final = ("BAD_REQUEST", "REQUEST_ENTITY_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE")


class Answers(BasePlugin):
    """Refers to the responses that flask-smorest defines for each status, and corrects their media type."""

    def response_helper(self, response: dict[str, Any], **_: Any) -> None:
        content = response.get("content", {})
        if content.get("application/json", {}).get("schema") == _PROBLEM_SCHEMA:
            content[PROBLEM] = content.pop("application/json")

    def operation_helper(self, path: str | None = None, operations: dict[str, Any] | None = None, **_: Any) -> None:
        for verb, operation in (operations or {}).items():
            for name in _names(path or "", verb, operation):
                operation["responses"].setdefault(_STATUS[name], name)


def _names(path: str, verb: str, operation: dict[str, Any]) -> list[str]:
    names = [*_ALWAYS]
    changes, takes = verb != "get", {one["name"] for one in operation.get("parameters", ()) if "name" in one}
    if verb in ("post", "put", "patch"):
        names += _OF_BODIES
    if "{" in path:
        names.append("NOT_FOUND")
    if changes and "{" in path:
        names.append("CONFLICT")
    if "If-Match" in takes:
        names.append("PRECONDITION_FAILED")
    return names


_STATUS: Final = {
    "BAD_REQUEST": "400",
    "UNAUTHORIZED": "401",
    "FORBIDDEN": "403",
    "NOT_FOUND": "404",
    "CONFLICT": "409",
    "PRECONDITION_FAILED": "412",
    "REQUEST_ENTITY_TOO_LARGE": "413",
    "UNSUPPORTED_MEDIA_TYPE": "415",
    "UNPROCESSABLE_ENTITY": "422",
    "TOO_MANY_REQUESTS": "429",
    "SERVICE_UNAVAILABLE": "503",
}
