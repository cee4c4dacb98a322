"""What a reader would get: a campaign rendered for one of its recipients, from a draft or from a stored schedule.
Nothing is stored or sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailroom.domain import run_content
from mailroom.domain.addresses import fold
from mailroom.domain.attached_files import AttachedFile
from mailroom.domain.audience_versions import ListChoice
from mailroom.domain.audiences import Recipient
from mailroom.domain.bodies.finish import finish
from mailroom.domain.content_checks import Hint, hints_for
from mailroom.domain.drafts import Draft
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.feeds.failures import FeedFailed
from mailroom.domain.ids import AudienceId, ScheduleId
from mailroom.domain.list_headers import list_headers
from mailroom.domain.run_values import FEED, NO_RUN_VALUES, RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.template_cutting import cut_into_parts
from mailroom.domain.template_filling import LINK_KEY, UNSUBSCRIBE_URL, CutTemplate
from mailroom.domain.template_parts import Compiled
from mailroom.domain.template_spending import CannotRender
from mailroom.feeds.fetching import Fetcher
from mailroom.services.planning.feeds import as_it_is_now
from mailroom.services.schedules import drafts as schedule_drafts
from mailroom.services.schedules.create import content_of
from mailroom.services.schedules.drafts import ChosenAudience, Origin
from mailroom.services.schedules.view import get
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import members
from mailroom.storage.database import Db, server_now

_NOT_STORED = AudienceId("")


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


def of_schedule(db: Db, schedule_id: ScheduleId, contact: str | None, *, link: str, feeds: Fetcher) -> RenderedMail:
    """The newest content of a schedule, with its feed as it is now. `contact`: an address of its audience; None for the
    first. `link`: in place of the reader's own link to unsubscribe.

    Raises ScheduleNotFound, AudienceNotFound, Unavailable; InvalidInput if the address is not in the audience, its
    mail cannot be rendered, or the feed does not come.
    """
    content = get(db, schedule_id).content
    return _rendered(content, _member(db, content.goes_to, contact), link, _values(content, feeds))


def of_draft(db: Db, draft: Draft, contact: str | None, *, link: str, feeds: Fetcher) -> RenderedMail:
    """A draft, checked as if it were to be saved. Raises InvalidInput with every fault, SendersTooOld, Unavailable."""
    checked, chosen = schedule_drafts.checked(db, draft, now=server_now(db))
    if chosen:
        content = content_of(checked, chosen)
        return _rendered(content, _member(db, chosen.goes_to, contact), link, _values(content, feeds))
    found = {recipient.key: recipient for recipient in checked.recipients}
    recipient = found.get(fold(contact)) if contact else checked.recipients[0]
    content = content_of(checked, ChosenAudience(_NOT_STORED, len(found), Origin.NEW))
    return _rendered(content, _present(recipient), link, _values(content, feeds))


def _member(db: Db, lists: Sequence[ListChoice], contact: str | None) -> Recipient:
    """A contact of these audiences, whether their filters find it or not; without an address somebody."""
    if contact is None:
        return audiences.known(db, lists[0].audience).example
    found = (members.contact(db, one.audience, fold(contact)) for one in lists)
    return _present(next((one.recipient for one in found if one), None))


def _present(recipient: Recipient | None) -> Recipient:
    if recipient is None:
        raise InvalidInput(Fault("contact", "is not among the recipients"))
    return recipient


def _values(content: Content, feeds: Fetcher) -> RunValues:
    """Raises InvalidInput if the feed does not come, or is no feed."""
    if content.feed is None:
        return NO_RUN_VALUES
    try:
        return RunValues.of({FEED: as_it_is_now(feeds, content.feed)})
    except FeedFailed as failed:
        raise InvalidInput(Fault("feed", str(failed))) from None


def _rendered(content: Content, recipient: Recipient, link: str, values: RunValues) -> RenderedMail:
    try:
        compiled = run_content.compiled(content, values)
        parts = compiled.parts_for(recipient.context()) | {LINK_KEY: link}
        preheader = _preheader(content.as_written.preheader, recipient, link)
    except CannotRender as error:
        field, _, message = str(error).partition(": ")
        raise InvalidInput(Fault(field, message)) from None
    subject, text, html = (
        template.with_placeholders(parts.__getitem__) for template in (compiled.subject, compiled.text, compiled.html)
    )
    headers = {"From": content.sender} | ({"Reply-To": content.reply_to} if content.reply_to else {})
    own = list_headers(content.topic, sender=content.sender, link=link, origin="preview")
    hint = finish(content.as_written).hint
    shown = {file.content_id for file in content.files if file.content_id}
    hints = [*hints_for(text, html, shown), *([hint] if hint else [])]
    set_here = dict(content.headers)
    return RenderedMail(
        recipient,
        subject,
        text,
        html,
        headers | set_here | own,
        set_here,
        preheader,
        hints,
        values.by_name.get(FEED),
        content.files,
    )


def _preheader(source: str, recipient: Recipient, link: str) -> str:
    """A line like the subject. Raises CannotRender."""
    line = cut_into_parts("subject", source.strip())
    parts = Compiled(line, CutTemplate(()), CutTemplate(())).parts_for(recipient.context() | {UNSUBSCRIBE_URL: link})
    return line.with_placeholders(parts.__getitem__)
