"""The recipients of a single mail's call by their places, for vendors that make headers and envelope from one list."""

from mailroom.domain.addresses import Mailbox, fold
from mailroom.domain.emails.model import Place
from mailroom.providers.base import Letter, SendInParts


def places_of(letter: Letter) -> dict[Place, list[Mailbox]]:
    """The recipients of this call by place. `to` is never empty, because vendors require it: without an address for
    `to`, those of `cc` take its place, or the only one of `bcc`.

    Raises SendInParts if several of `bcc` are left alone: each gets a mail of its own, so that none sees another.
    """
    wanted = {fold(address) for address in letter.recipients}
    places = {
        place: [mailbox for mailbox in letter.email.at(place) if fold(mailbox.address) in wanted] for place in Place
    }
    if not places[Place.TO]:
        stand_in = Place.CC if places[Place.CC] else Place.BCC
        if stand_in is Place.BCC and len(places[Place.BCC]) > 1:
            raise SendInParts(1)
        places[Place.TO], places[stand_in] = places[stand_in], []
    return places
