"""Request bodies: JSON that can be stored, or a clear refusal. Looked at only after the caller is known."""

import json
from typing import Any

from flask import abort, request


def check_body() -> None:
    """Abort with 415 for a body that is not said to be JSON, with 400 for one that is none.

    Python's reader lets NaN, half of a surrogate pair and numbers of any length pass; none of them can be stored.
    """
    if request.method in ("GET", "HEAD", "DELETE") or not request.content_length:
        return
    if not request.is_json:
        abort(415, description="Send the body as application/json.")
    try:
        parsed = json.loads(request.get_data(), parse_constant=_refuse)
        json.dumps(parsed, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        abort(400, description="The body is not JSON, or holds what JSON does not have, or is nested too deep.")


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
