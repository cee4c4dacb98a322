"""Ids of messages in few bytes, for places that hold few characters, such as the local part of an address.

A run's id comes back whole. Of the address there are forty bits: within one run they name its message. Two messages of
a run that share them are taken for neither.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mailroom.domain.ids import RunId, address_digest_of, message_id
from mailroom.domain.instants import compact

#: Bytes of the longest packed name.
MOST_BYTES: Final = 28
_DIGEST_BYTES: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_BYTES: Final = 6
_DUE: Final = re.compile(r"sch_([0-9a-f]{18})-(\d{8}T\d{6}(?:\.\d{3})?)Z")
# The kinds by their first byte: the form of the id, with `{}` for each stretch of hexadecimal digits, and their counts.
_FORMS: Final[dict[int, tuple[str, tuple[int, ...]]]] = {
    1: ("sch_{}-now-{}", (18, 16)),
    2: ("sch_{}-again-{}-{}", (18, 10, 16)),
    3: ("em_{}", (25,)),
    4: ("em_k{}", (24,)),
    5: ("em_a{}", (28,)),
}
_KIND_OF_DUE: Final = 0


@dataclass(frozen=True, slots=True)
class MessageName:
    """A message of this run. `digest`: the beginning of what stands for its address in its id."""

    run: RunId
    digest: str


def pack(run: RunId, address: str) -> bytes | None:
    """The name of the message of this run to this address; None for a run's id of another form."""
    packed = _pack_run(run)
    digest = address_digest_of(message_id(run, address))[: 2 * _DIGEST_BYTES]
    return None if packed is None else packed + bytes.fromhex(digest)


def unpack(packed: bytes) -> MessageName | None:
    """The name that was packed; None for any other bytes."""
    run = _unpack_run(packed[:-_DIGEST_BYTES])
    return None if run is None else MessageName(run, packed[-_DIGEST_BYTES:].hex())


def _pack_run(run: RunId) -> bytes | None:
    if due := _DUE.fullmatch(run):
        form = "%Y%m%dT%H%M%S.%f" if "." in due[2] else "%Y%m%dT%H%M%S"
        at = datetime.strptime(due[2], form).replace(tzinfo=UTC)
        ms = (at - _EPOCH) // timedelta(milliseconds=1)
        return bytes([_KIND_OF_DUE]) + bytes.fromhex(due[1]) + ms.to_bytes(_TIME_BYTES, "big")
    for kind, (form, counts) in _FORMS.items():
        stretches = [f"([0-9a-f]{{{count}}})" for count in counts]
        if match := re.fullmatch(form.format(*stretches), run):
            return bytes([kind]) + b"".join(bytes.fromhex(_even(digits)) for digits in match.groups())
    return None


def _unpack_run(packed: bytes) -> RunId | None:
    if not packed:
        return None
    kind, rest = packed[0], packed[1:].hex()
    if kind == _KIND_OF_DUE:
        if len(rest) != 18 + 2 * _TIME_BYTES:
            return None
        try:
            due = _EPOCH + timedelta(milliseconds=int(rest[18:], 16))
        except OverflowError:
            return None
        return RunId(f"sch_{rest[:18]}-{compact(due)}")
    if kind not in _FORMS:
        return None
    form, counts = _FORMS[kind]
    stretches = []
    for count in counts:
        padded = count + count % 2
        stretches.append(rest[padded - count : padded])
        rest = rest[padded:]
    return RunId(form.format(*stretches)) if not rest and len(stretches[-1]) == counts[-1] else None


def _even(digits: str) -> str:
    return "0" + digits if len(digits) % 2 else digits
