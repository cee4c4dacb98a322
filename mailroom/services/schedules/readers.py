"""For whom a mail is rendered: a recipient by address, the first one, or the one beside another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailroom.domain.addresses import fold
from mailroom.domain.audiences import Recipient
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.services.audiences.selecting import as_of_now, following, preceding
from mailroom.services.schedules.proofs import CampaignProof
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import members
from mailroom.storage.database import Db


@dataclass(frozen=True, slots=True)
class Beside:
    """The recipient after an address, or the one before it."""

    address: str
    before: bool = False


Wanted = str | Beside | None  # an address; None: the first


def reader(db: Db, proof: CampaignProof, wanted: Wanted) -> Recipient:
    """A recipient of these. An address is found in the audiences, whether their filters find it or not. At either end
    the recipient beside an address is the one of that address. Raises InvalidInput, AudienceNotFound, Unavailable."""
    if proof.own is not None:
        return _of_own(proof.own, wanted)
    if isinstance(wanted, str):
        return _by_address(db, proof, wanted)
    lists = proof.content.goes_to
    selection, now = as_of_now(db, lists, proof.content.excluded)
    if wanted is None:
        return following(db, selection, "", at=now) or audiences.known(db, lists[0].audience).example
    look = preceding if wanted.before else following
    return look(db, selection, fold(wanted.address), at=now) or _by_address(db, proof, wanted.address)


def _by_address(db: Db, proof: CampaignProof, address: str) -> Recipient:
    found = (members.contact(db, one.audience, fold(address)) for one in proof.content.goes_to)
    return _present(next((one.recipient for one in found if one), None))


def _of_own(recipients: Sequence[Recipient], wanted: Wanted) -> Recipient:
    """`recipients`: in the order of their folded addresses."""
    if wanted is None:
        return recipients[0]
    address = wanted if isinstance(wanted, str) else wanted.address
    place = next((place for place, one in enumerate(recipients) if one.key == fold(address)), None)
    if place is None:
        raise InvalidInput(_NOBODY)
    if isinstance(wanted, Beside):
        place += -1 if wanted.before else 1
    return recipients[min(max(place, 0), len(recipients) - 1)]


_NOBODY: Final = Fault("contact", "is not among the recipients")


def _present(recipient: Recipient | None) -> Recipient:
    if recipient is None:
        raise InvalidInput(_NOBODY)
    return recipient
