"""Copies of stored documents: the same BSON with other texts of the same length, and with other times."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import bson
from bson.raw_bson import RawBSONDocument

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = struct.Struct("<q")  # a time in BSON: milliseconds since the epoch


class Piece:
    """Documents of several collections that belong together, ready to be copied any number of times."""

    def __init__(self, documents: Mapping[str, Sequence[Mapping[str, Any]]], *, named: Mapping[str, str]) -> None:
        """`named`: the texts that a copy replaces wherever they stand, each with a name for `copy`. Where one stands
        within another one, the one that is named later is written last."""
        self._lengths = {name: len(text.encode()) for name, text in named.items()}
        self._parts = {collection: _Part(some, named) for collection, some in documents.items() if some}

    def copy(self, texts: Mapping[str, str], *, shift: timedelta) -> dict[str, list[RawBSONDocument]]:
        """A copy by collection, with these texts in the places of the named ones and all times moved. Raises ValueError
        for a text of another length."""
        encoded = {name: texts[name].encode() for name in self._lengths}
        for name, text in encoded.items():
            if len(text) != self._lengths[name]:
                raise ValueError(f"{name} has {self._lengths[name]} bytes, not {len(text)}: {texts[name]}")
        ms = shift // timedelta(milliseconds=1)
        return {collection: part.copy(encoded, ms) for collection, part in self._parts.items()}


class _Part:
    """The documents of one collection, and where in their bytes each named text and each time stands."""

    def __init__(self, documents: Sequence[Mapping[str, Any]], named: Mapping[str, str]) -> None:
        encoded = [bson.encode(document) for document in documents]
        self._whole = b"".join(encoded)
        self._ends = [sum(map(len, encoded[:count])) for count in range(len(encoded) + 1)]
        self._places = {name: list(_found(self._whole, text.encode())) for name, text in named.items()}
        self._times = [(at, time) for time in set(_times(documents)) for at in _found(self._whole, _TIME.pack(time))]

    def copy(self, texts: Mapping[str, bytes], shift_ms: int) -> list[RawBSONDocument]:
        copied = bytearray(self._whole)
        for name, text in texts.items():
            for at in self._places[name]:
                copied[at : at + len(text)] = text
        for at, time in self._times:
            _TIME.pack_into(copied, at, time + shift_ms)
        return [RawBSONDocument(bytes(copied[start:end])) for start, end in pairwise(self._ends)]


def _found(whole: bytes, sought: bytes) -> Iterator[int]:
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
