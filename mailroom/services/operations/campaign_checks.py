"""Everything that may go wrong with a campaign, all at once, before it goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailroom.domain.content_checks import Hint, hints_about_leaving
from mailroom.domain.merge_fields import FieldTally, fields_of
from mailroom.domain.rendered_mails import RenderedMail
from mailroom.domain.sending_domains import SendingDomain
from mailroom.services.audiences.field_counts import look_through, look_through_own
from mailroom.services.operations import sending_domains
from mailroom.services.schedules.proofs import CampaignProof
from mailroom.storage.database import Db

LOOKS_FOR_S: Final = 2.0  # through the recipients, for merge fields that they lack
GLANCES_FOR_S: Final = 0.05  # the same, on a page that is opened for something else


@dataclass(frozen=True, slots=True)
class Senders:
    """The domains that the providers are set up to send for."""

    domains: Sequence[SendingDomain]
    providers: Sequence[str]


def hints_of(
    db: Db, proof: CampaignProof, mail: RenderedMail | None, senders: Senders | None, *, within_s: float = LOOKS_FOR_S
) -> list[Hint]:
    """The hints about a mail that could be sent as it is, and about its recipients. `mail`: the proof for one of its
    recipients; None if it was not rendered. `senders`: None of a template, whose From is another one's. Raises
    Unavailable."""
    content = proof.content
    leaving = hints_about_leaving(content.text, content.html, dict(content.headers), topic=content.topic)
    foreign = sending_domains.warning(senders.domains, senders.providers, content.sender) if senders else ""
    return [
        *_about_fields(db, proof, within_s),
        *([Hint("foreign_sender", foreign)] if foreign else []),
        *leaving,
        *(mail.hints if mail else ()),
    ]


def _about_fields(db: Db, proof: CampaignProof, within_s: float) -> list[Hint]:
    used = fields_of(proof.content)
    if not used:
        return []
    tally = FieldTally(used)
    if proof.own is not None:
        of_all = look_through_own(tally, proof.own, within_s=within_s)
    else:
        content = proof.content
        of_all = look_through(db, tally, content.goes_to, content.excluded, within_s=within_s)
    return tally.hints(of_all=of_all)
