"""Read the JSON of a webhook so that it can be stored, even if some of it could not be.

A provider would send a refused webhook again with the same bytes: a replaced character is better than a lost event.
"""

import json
from collections.abc import Callable
from typing import Any, Final

import orjson

from mailroom.providers.parsing import json_of, without_halves

_MOST_DIGITS: Final = 1_000


def _nothing_to_check() -> None:
    """The signature covers the bytes, and was checked before."""


def storable_document(raw: bytes, require_signed: Callable[[], object] = _nothing_to_check) -> Any:
    """The document, or None if the bytes are no JSON. Halves of surrogate pairs and bytes that are no text become
    U+FFFD, and numbers like NaN become null.

    Mending costs many times what reading costs: `require_signed` is called before, and what it raises is raised.
    """
    try:
        orjson.loads(raw)  # strict: it refuses everything that cannot be stored
    except orjson.JSONDecodeError:
        require_signed()
        return _mended(raw)
    return json_of(raw)  # only Python's reader knows whole numbers beyond 64 bits


def _mended(raw: bytes) -> Any:
    try:
        document = _LENIENT.decode(raw.decode("utf-8", "replace"))
        return json.loads(without_halves(json.dumps(document, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return json_of(raw)  # another encoding of Unicode, if it is JSON at all


def _finite(number: str) -> float | None:
    value = float(number)
    return value if abs(value) != float("inf") else None


def _whole(number: str) -> int | None:
    return int(number) if len(number) < _MOST_DIGITS else None


_LENIENT: Final = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite, parse_int=_whole)
