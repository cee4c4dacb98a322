"""A campaign's mail as one recipient reads it, made of its content and of the recipient's values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mailroom.domain.attached_files import AttachedFile
from mailroom.domain.audiences import Recipient
from mailroom.domain.bodies.finish import finish
from mailroom.domain.bodies.written import Written
from mailroom.domain.content_checks import Hint, hints_for
from mailroom.domain.ids import schedule_of_run
from mailroom.domain.list_headers import list_headers
from mailroom.domain.messages.model import Message
from mailroom.domain.run_content import compiled
from mailroom.domain.run_values import FEED, RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.template_cutting import cut_into_parts
from mailroom.domain.template_filling import FIELDS, LINK_KEY, UNSUBSCRIBE_URL, CutTemplate
from mailroom.domain.template_parts import Compiled

_PREVIEW: Final = "preview"  # in place of the schedule, in headers of a list


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail as one recipient would read it."""

    recipient: Recipient
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    own_headers: Mapping[str, str]  # those among them that the schedule sets itself
    preheader: str = ""
    hints: Sequence[Hint] = ()  # what may go wrong with it
    feed: object = None  # as the template got it; None without one
    files: Sequence[AttachedFile] = ()


def rendered(content: Content, recipient: Recipient, values: RunValues, *, link: str) -> RenderedMail:
    """The mail of a recipient. `link`: in place of the reader's own link to unsubscribe. Raises CannotRender."""
    whole = compiled(content, values)
    subject, text, html = _filled(whole, whole.parts_for(recipient.context()) | {LINK_KEY: link})
    headers, own = _headers(content, link, _PREVIEW)
    css = _hint_at_css(content.as_written)
    shown = {file.content_id for file in content.files if file.content_id}
    hints = [*hints_for(text, html, shown), *([css] if css else [])]
    preheader = _preheader(content.as_written.preheader, recipient, link)
    feed, files = values.by_name.get(FEED), content.files
    return RenderedMail(recipient, subject, text, html, headers, own, preheader, hints, feed, files)


def rendered_from_parts(content: Content, message: Message, values: RunValues, *, link: str) -> RenderedMail | None:
    """A message of a run as it was rendered then, from its stored parts. None for a message that goes in no call: its
    recipient was suppressed, or it could not be rendered; and of somebody who was erased since."""
    if message.dispatch_id is None or message.erased:
        return None
    whole = compiled(content, values)
    subject, text, html = _filled(whole, {**message.parts, LINK_KEY: link})
    headers, own = _headers(content, link, schedule_of_run(message.run_id))
    recipient = Recipient(message.address, message.name)
    feed, files = values.by_name.get(FEED), content.files
    return RenderedMail(recipient, subject, text, html, headers, own, feed=feed, files=files)


def _filled(whole: Compiled, parts: Mapping[str, str]) -> list[str]:
    return [getattr(whole, field).with_placeholders(parts.__getitem__) for field in FIELDS]


def _headers(content: Content, link: str, origin: str) -> tuple[dict[str, str], dict[str, str]]:
    """Returns (all headers, those that the schedule sets itself)."""
    who = {"From": content.sender} | ({"Reply-To": content.reply_to} if content.reply_to else {})
    own = dict(content.headers)
    return who | own | list_headers(content.topic, sender=content.sender, link=link, origin=origin), own


def _preheader(source: str, recipient: Recipient, link: str) -> str:
    """A line like the subject. Raises CannotRender."""
    line = cut_into_parts("subject", source.strip())
    parts = Compiled(line, CutTemplate(()), CutTemplate(())).parts_for(recipient.context() | {UNSUBSCRIBE_URL: link})
    return line.with_placeholders(parts.__getitem__)


@lru_cache(maxsize=32)
def _hint_at_css(written: Written) -> Hint | None:
    return finish(written).hint
