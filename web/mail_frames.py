"""Mails on pages: rendered for a recipient, with their hints, and their HTML in a frame without any rights. What a mail
holds acts on nothing of ours, and loads nothing but pictures."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import Response

from mailroom.assembly.providers import build_senders
from mailroom.domain.addresses import fold
from mailroom.domain.audiences import Recipient
from mailroom.domain.content_checks import Hint
from mailroom.domain.errors import AudienceNotFound, Fault, InvalidInput
from mailroom.domain.rendered_mails import RenderedMail
from mailroom.domain.schedules import Content
from mailroom.services.operations import campaign_checks
from mailroom.services.schedules import carried_files, readers, rendering
from mailroom.services.schedules.proofs import CampaignProof
from mailroom.services.schedules.readers import Beside, Wanted
from web.session import services

WIDTHS: Final = ("desktop", "phone")
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
#: Of a page that holds the HTML of the mail itself: its frame has the page's policy too, and styles of its own.
POLICY_WITH_MAIL: Final = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' http: https: data:; frame-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_BODY_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; frame-ancestors 'self'"
)
_NAMES: Final = {
    "subject": "Subject",
    "text": "Text",
    "html": "HTML",
    "markdown": "Markdown",
    "mjml": "MJML",
    "feed": "Data feed",
}
_LACKING: Final = re.compile(r"^'(\w+)' is undefined$")  # as Jinja2 says it


@dataclass(frozen=True, slots=True)
class Seen:
    """A mail for one recipient, or why there is none. `reader`: None if nobody was found."""

    wanted: Wanted
    reader: Recipient | None
    mail: RenderedMail | None
    problems: Sequence[str]
    hints: Sequence[Hint]

    @property
    def address(self) -> str:
        """The recipient's, or the one that was asked for."""
        asked = self.wanted.address if isinstance(self.wanted, Beside) else self.wanted or ""
        return self.reader.address if self.reader else asked

    @property
    def at_end(self) -> bool:
        """True if there is nobody beside the recipient that was asked for."""
        return (
            isinstance(self.wanted, Beside) and self.reader is not None and self.reader.key == fold(self.wanted.address)
        )

    def shown(self) -> dict[str, object]:
        """What the templates show."""
        return {name: getattr(self, name) for name in ("reader", "mail", "problems", "hints", "at_end")}


def seen(proof: CampaignProof, wanted: Wanted, *, from_somebody: bool = True) -> Seen:
    """A proof for a recipient, with everything that may go wrong with it. `from_somebody`: its From is its own."""
    db = services().db
    reader: Recipient | None = None
    mail: RenderedMail | None = None
    problems: list[str] = []
    try:
        reader = readers.reader(db, proof, wanted)
        mail = rendering.render_for(proof.content, reader, link=services().links.example, feeds=services().feeds)
    except InvalidInput as error:
        problems = [in_words(fault) for fault in error.faults]
    senders = build_senders(services().settings) if from_somebody else None
    hints = campaign_checks.hints_of(db, proof, mail, senders)
    return Seen(wanted, reader, mail, problems, hints)


def glance(content: Content) -> Sequence[Hint]:
    """What may go wrong with a stored content, as far as that is known at once: without its feed, and with a short look
    through its recipients."""
    db, proof = services().db, CampaignProof(content)
    mail: RenderedMail | None = None
    if content.feed is None:
        with contextlib.suppress(InvalidInput, AudienceNotFound):
            mail = rendering.render(db, proof, None, link=services().links.example, feeds=services().feeds)
    senders = build_senders(services().settings)
    return campaign_checks.hints_of(db, proof, mail, senders, within_s=campaign_checks.GLANCES_FOR_S)


def width_of(asked: str) -> str:
    return asked if asked in WIDTHS else WIDTHS[0]


def framed(mail: RenderedMail) -> Response:
    """The HTML of a mail as a page of its own, for a frame."""
    html = carried_files.for_browser(services().db, mail).html
    response = Response(f'<!doctype html><meta charset="utf-8">{html}', mimetype="text/html")
    response.headers["Content-Security-Policy"] = _BODY_POLICY
    return response


def in_words(fault: Fault) -> str:
    name = fault.path.partition("[")[0]
    message = _LACKING.sub(r"this recipient has no “\1”", fault.message)
    return message if name in ("contact", "to") else f"{_NAMES.get(name, fault.path)}: {message}"
