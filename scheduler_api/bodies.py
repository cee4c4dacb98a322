"""Request bodies: JSON that can be stored, or a clear refusal. Looked at only after the caller is known."""

import json
import re
from typing import Any, Final

from flask import abort, request

# Without any of these it holds nothing that JSON has and we could not store: NaN, Infinity, escapes, bytes beyond
# ASCII, numbers as large as no number, and brackets as deep as no body.
_ODD: Final = re.compile(rb"NaN|Infinity|\\u|[\x80-\xff]|[0-9][eE]|[0-9]{17}|[\[{][\s\[{]{99}")


def check_body() -> None:
    """Abort with 415 for a body that is not said to be JSON, with 400 for one that is none.

    Python's reader lets NaN, half of a surrogate pair and numbers of any length pass; none of them can be stored.
    """
    if request.method in ("GET", "HEAD", "DELETE") or not request.content_length:
        return
    if not request.is_json:
        abort(415, description="Send the body as application/json.")
    raw = request.get_data()
    if _ODD.search(raw) is None:
        return  # whoever reads it as JSON refuses what is none
    try:
        parsed = json.loads(raw, parse_constant=_refuse)
        json.dumps(parsed, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        abort(400, description="The body is not JSON, or holds what JSON does not have, or is nested too deep.")


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
