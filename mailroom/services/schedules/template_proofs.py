"""A version of a stored template as a schedule would send it, before there is a schedule."""

from dataclasses import replace
from typing import Final

from mailroom.domain.bodies.finish import finish
from mailroom.domain.bodies.written import as_written
from mailroom.domain.ids import AudienceId
from mailroom.domain.schedules import Content
from mailroom.domain.template_examples import example_of
from mailroom.domain.template_layouts import without_structure
from mailroom.domain.templates import Template
from mailroom.services.schedules.proofs import CampaignProof
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db

_NOBODY: Final = "Sender <sender@example.com>"  # a template has no From
_SOME_TOPIC: Final = "preview"  # the link to unsubscribe is shown wherever it is written


def of_template(db: Db, template: Template, *, audience: str) -> CampaignProof:
    """What the contacts of this audience would get, with the defaults of a schedule; without one, an example in whose
    merge fields their names stand. Of a layout its blocks are seen as they are. Raises AudienceNotFound."""
    text, html = (without_structure(template.content[field]) for field in ("text", "html"))
    written = as_written(text or None, html, "", "", inline_css=True)
    finished = finish(written)
    list_ = audiences.get(db, AudienceId(audience)) if audience else None
    content = Content(
        sender=_NOBODY,
        subject=template.subject,
        text=finished.text,
        html=finished.html,
        audience=list_.id if list_ else AudienceId(""),
        recipients=list_.count if list_ else 1,
        topic=_SOME_TOPIC,
        # The HTML holds the preheader already; the preview names it.
        written=replace(written, preheader=template.source.preheader),
    )
    return CampaignProof(content, None if list_ else (example_of(template),))
