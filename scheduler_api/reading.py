"""Read JSON from outside strictly, or with wrong parts of a list set aside.

orjson reads first. It refuses everything that JSON does not have or that could not be stored (NaN, 1e999, half of a
surrogate pair, bytes that are no UTF-8, brackets a thousand deep), and is fast for any input. It keeps the last of a
doubled key, so small documents are read a second time, by Python's reader, which refuses doubled keys. That second
reading is the result, because only Python's reader knows whole numbers beyond 64 bits.
"""

import gc
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mailroom.domain.limits import MAX_SMALL_BODY_BYTES

# Bytes. A larger document is never read part by part: that bounds the cost of the second reading.
MAX_SPLIT_BYTES: Final = 16 * 1024 * 1024


class Unreadable(Exception):
    """The bytes are not JSON that can be stored. The message says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Stands for a part of a list that cannot be read. `why`: the reason."""

    why: str
    raw: bytes


def read(raw: bytes) -> Any:
    """The document. Raises Unreadable."""
    try:
        if len(raw) > MAX_SMALL_BODY_BYTES:
            return _with_no_collection(raw)
        orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unreadable(str(error)) from None
    return _without_doubles(raw)


def read_in_parts(raw: bytes, name: str, most: int) -> Any:
    """The document. If only parts of its list `name` cannot be read, the list holds an Unread in place of each. Raises
    Unreadable for any other fault, or if the list is longer than `most`."""
    try:
        return read(raw)
    except Unreadable:
        if len(raw) > MAX_SPLIT_BYTES:
            raise
        try:
            return _split(raw.decode("utf-8", "surrogateescape"), name, most)
        except (ValueError, RecursionError, IndexError):
            pass
        raise


def weighs_more(raw: bytes, most: int) -> bool:
    """True if a document has more values than `most`. The cost of reading depends on the number of values, not on the
    length. Counted are commas and opening brackets outside of texts."""
    if not _marks(raw, 0, len(raw), most) > most:
        return False
    count = at = steps = 0
    inside = False
    while count <= most and steps <= _MOST_STEPS:
        quote, steps = raw.find(b'"', at), steps + 1
        end = quote if quote >= 0 else len(raw)
        if not inside:
            count += _marks(raw, at, end, most)
        if quote < 0:
            break
        # Within a text, a quote behind an odd number of backslashes does not end it.
        escaped = inside and _backslashes_before(raw, at, end) % 2
        inside, at = inside if escaped else not inside, quote + 1
    return count > most or steps > _MOST_STEPS


def _marks(raw: bytes, at: int, end: int, most: int) -> int:
    """The number of commas and opening brackets; counting stops beyond `most`. Counting goes in slices, so that other
    threads can run in between."""
    count = 0
    while at < end and count <= most:
        upto = min(at + _SLICE, end)
        count += raw.count(b",", at, upto) + raw.count(b"[", at, upto) + raw.count(b"{", at, upto)
        at = upto
    return count


def _backslashes_before(raw: bytes, at: int, end: int) -> int:
    if raw[end - 1 : end] != _BACKSLASH or end == at:
        return 0
    piece = raw[at:end]
    return len(piece) - len(piece.rstrip(_BACKSLASH))


def _with_no_collection(raw: bytes) -> Any:
    """Read with Python's garbage collector off: it would visit everything read so far, again and again."""
    with _COLLECTOR:
        gc.disable()
        try:
            return orjson.loads(raw)
        finally:
            gc.enable()


def _without_doubles(raw: bytes) -> Any:
    try:
        return _ONCE.decode(raw.decode())
    except _Doubled as error:
        raise Unreadable(f"the key {error.key!r} stands twice in one object") from None
    except (ValueError, RecursionError):
        raise Unreadable("it is nested too deep, or a number in it is too long") from None


def _split(text: str, name: str, most: int) -> dict[str, Any]:
    """Read the list's parts one by one, all else strictly. Raises ValueError, Unreadable."""
    document: dict[str, Any] = {}
    at = _behind(text, 0, "{")
    while text[at] != "}":
        key, at = _ANY.raw_decode(text, at)
        at = _behind(text, _skip(text, at), ":")
        if key in document:
            raise Unreadable(f"the key {key!r} stands twice in one object")
        if key == name and text[at] == "[":
            document[key], at = _parts(text, at, most)
        else:
            document[key], at = _piece(text, at, _strictly)
        at = _skip(text, at)
        if text[at] != "}":
            at = _behind(text, at, ",")
    if _skip(text, at + 1) != len(text):
        raise Unreadable("something stands behind the document")
    return document


def _parts(text: str, at: int, most: int) -> tuple[list[Any], int]:
    parts: list[Any] = []
    at = _behind(text, at, "[")
    while text[at] != "]":
        part, at = _piece(text, at, _or_unread)
        parts.append(part)
        if len(parts) > most:
            raise Unreadable(f"more than {most} parts")
        at = _skip(text, at)
        if text[at] != "]":
            at = _behind(text, at, ",")
    return parts, at + 1


def _piece(text: str, at: int, use: Callable[[bytes], Any]) -> tuple[Any, int]:
    """One value, used by `use`, and the place behind it. A tolerant reader finds the end of the value."""
    _, end = _ANY.raw_decode(text, at)
    return use(text[at:end].encode("utf-8", "surrogateescape")), end


def _strictly(raw: bytes) -> Any:
    return read(raw)


def _or_unread(raw: bytes) -> Any:
    try:
        return read(raw)
    except Unreadable as error:
        return Unread(str(error), raw)


def _behind(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at] != mark:
        raise Unreadable(f"a {mark} is missing")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


class _Doubled(Exception):
    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        raise _Doubled(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return mapping


_SLICE: Final = 1024 * 1024
_COLLECTOR: Final = threading.Lock()
_BACKSLASH: Final = b"\\"
_MOST_STEPS: Final = 500_000  # quotes visited: a text that is nothing but quotes costs time too
_ONCE: Final = json.JSONDecoder(object_pairs_hook=_once)
_ANY: Final = json.JSONDecoder()
