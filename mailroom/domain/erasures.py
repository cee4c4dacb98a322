"""The erasure of a person: what stands in the place of an address, and the steps in which it goes.

A message keeps its id, its state and its times, so every report stays as it is. Of what must go on working without the
address, suppressions and the journal of consent, a *name* stands in its place: a keyed hash, which the same address
has again, and from which nobody reads it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from mailroom.domain.addresses import InvalidAddress, check_address, fold
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import ErasureId

#: In the place of an address that was erased. `.invalid` is nobody's (RFC 2606).
ERASED: Final = "erased@erased.invalid"
#: The step on the trail of a dispatch that somebody's message belongs to.
ERASURE: Final = "erased"
#: Why a message that was not sent yet gets no call.
ERASED_REASON: Final = "erased"
SECRET_BYTES: Final = 32
_NAME: Final = "erased:"
_NAME_BYTES: Final = 20
_CUT: Final = "(erased)"


class ErasurePhase(StrEnum):
    """What is gone through, in this order."""

    LISTS = "lists"  # first: no run that is decided from then on finds the person
    RUNS = "runs"
    MAILS = "mails"
    JOURNAL = "journal"
    REQUESTS = "requests"
    REFUSALS = "refusals"
    REST = "rest"  # what had to be waited for


class ErasureState(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"  # for runs in planning, or for calls whose outcome is not known
    DONE = "done"


def key_of_person(address: str) -> str:
    """The folded address that a request names. Raises InvalidInput."""
    try:
        return fold(check_address(address))
    except InvalidAddress as error:
        raise InvalidInput(Fault("address", str(error))) from None


@dataclass(frozen=True, slots=True)
class Erasure:
    """`address`: folded; empty once it is done. `name`: what stands for the address since. `after`: how far its phase
    has come. `waits`: runs and single mails that had to be left. `counts`: documents that were changed or removed, by
    kind. `step`: how many steps were made."""

    id: ErasureId
    address: str
    name: str
    state: ErasureState
    asked_at: datetime
    asked_by: str
    phase: ErasurePhase = ErasurePhase.LISTS
    after: str = ""
    waits: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    step: int = 0
    done_at: datetime | None = None

    @property
    def documents(self) -> int:
        return sum(self.counts.values())


PHASES: Final[Sequence[ErasurePhase]] = tuple(ErasurePhase)


def following(phase: ErasurePhase) -> ErasurePhase | None:
    """The phase after this one; None after the last."""
    number = PHASES.index(phase) + 1
    return PHASES[number] if number < len(PHASES) else None


def erased_name(secret: bytes, key: str) -> str:
    """What stands for a folded address: the same for the same address, and read back by nobody without the secret. By
    BLAKE2's keyed mode (RFC 7693), a third of HMAC's time: planning asks for a million of them."""
    return _NAME + hashlib.blake2b(key.encode(), key=secret, digest_size=_NAME_BYTES).hexdigest()


def holds(text: str, key: str) -> bool:
    """True if a text holds this folded address, in letters of any case, or as it stands in a URL."""
    return _pattern(key).search(text) is not None


def without(text: str, key: str) -> str:
    """The text without this folded address. Longer addresses that it is a part of stay."""
    return _pattern(key).sub(_CUT, text)


@lru_cache(maxsize=64)
def _pattern(key: str) -> re.Pattern[str]:
    spelt = "|".join(map(re.escape, dict.fromkeys((key, quote(key, safe=""), quote(key, safe="@")))))
    return re.compile(rf"(?<![\w.+%-])(?:{spelt})(?![\w-])(?!\.\w)", re.IGNORECASE)
