"""Copies of stored documents: the same BSON with other ids of the same length, and with other times."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import bson
import numpy as np
from bson.raw_bson import RawBSONDocument

_MS: Final = 8  # bytes of a time in BSON: milliseconds since the epoch
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Bytes = Any  # numpy's array of bytes


class Piece:
    """Documents of several collections that belong together, ready to be copied any number of times."""

    def __init__(self, documents: Mapping[str, Sequence[Mapping[str, Any]]], *, named: Mapping[str, str]) -> None:
        """`named`: the texts that a copy replaces wherever they stand, each with a name for `copy`."""
        self._lengths = {name: len(text) for name, text in named.items()}
        self._parts = {
            collection: _Part([bson.encode(document) for document in some], named, set(_times(some)))
            for collection, some in documents.items()
            if some
        }

    def copy(self, texts: Mapping[str, str], *, shift_ms: int) -> dict[str, list[RawBSONDocument]]:
        """A copy by collection, with these texts in the places of the named ones and all times moved. Raises ValueError
        for a text of another length."""
        for name, text in texts.items():
            if len(text.encode()) != self._lengths[name]:
                raise ValueError(f"{name} has {self._lengths[name]} bytes, not {len(text.encode())}: {text}")
        return {collection: part.copy(texts, shift_ms) for collection, part in self._parts.items()}


class _Part:
    """The documents of one collection, and where in their bytes each named text and each time stands."""

    def __init__(self, documents: Sequence[bytes], named: Mapping[str, str], times: set[int]) -> None:
        whole = b"".join(documents)
        self._bytes: _Bytes = np.frombuffer(whole, dtype=np.uint8)
        ends = np.cumsum([len(document) for document in documents]).tolist()
        self._slices = list(zip([0, *ends[:-1]], ends, strict=True))
        self._texts = {name: _spans(whole, [text.encode()]) for name, text in named.items()}
        self._times = _spans(whole, [time.to_bytes(_MS, "little", signed=True) for time in sorted(times)])
        self._stood_at = self._bytes[self._times].copy().view("<i8") if len(self._times) else None

    def copy(self, texts: Mapping[str, str], shift_ms: int) -> list[RawBSONDocument]:
        copied = self._bytes.copy()
        for name, text in texts.items():
            copied[self._texts[name]] = np.frombuffer(text.encode(), dtype=np.uint8)
        if self._stood_at is not None:
            copied[self._times] = (self._stood_at + shift_ms).view(np.uint8).reshape(-1, _MS)
        whole = copied.tobytes()
        return [RawBSONDocument(whole[start:end]) for start, end in self._slices]


def _spans(whole: bytes, sought: Sequence[bytes]) -> _Bytes:
    """A row of positions for each place at which one of the sought texts, all of one length, stands."""
    starts = sorted({start for text in sought for start in _places(whole, text)})
    length = len(sought[0]) if sought else 0
    return np.array(starts, dtype=np.int64).reshape(-1, 1) + np.arange(length)


def _places(whole: bytes, sought: bytes) -> Iterator[int]:
    at = whole.find(sought)
    while at >= 0:
        yield at
        at = whole.find(sought, at + len(sought))


def _times(value: object) -> Iterator[int]:
    """All times in these documents, as BSON writes them."""
    if isinstance(value, datetime):
        yield (value - _EPOCH) // timedelta(milliseconds=1)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _times(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _times(each)
