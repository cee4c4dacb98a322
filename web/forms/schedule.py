"""The schedule form: from typed fields to a Draft, and from a stored schedule back to the fields."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from werkzeug.datastructures import MultiDict
from wtforms.fields import BooleanField, MultipleFileField
from wtforms.fields.core import Field
from wtforms.widgets import NumberInput

from mailroom.domain.audiences import Audience
from mailroom.domain.drafts import Draft, DraftChanges
from mailroom.domain.errors import Fault
from mailroom.domain.ids import is_segment
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.schedules import MisfirePolicy
from mailroom.domain.segments.model import Segment
from mailroom.domain.topics import Topic
from mailroom.domain.words import counted
from mailroom.services.schedules.view import StoredSchedule
from web.forms import feed, recurrence
from web.forms.feed import FeedForm
from web.forms.fields import ChoiceField, ChoicesField, HiddenTextField, LongTextField, TextField
from web.forms.recipients import ListFields
from web.forms.recurrence import RecurrenceForm
from web.recipients import Given, problems_of

_DEFAULTS: Final = {**recurrence.DEFAULTS, **feed.DEFAULTS, "misfire": MisfirePolicy.RUN_ONCE, "grace_minutes": "60"}
_MISSED: Final[Mapping[str, str]] = {
    MisfirePolicy.RUN_ONCE: "Send the latest of them",
    MisfirePolicy.SKIP: "Skip them",
    MisfirePolicy.RUN_ALL: "Send all of them",
}
#: The fields above the recurrence, as the page shows them.
_FIRST: Final = (
    *("name", "sender", "template", "subject", "preheader", "text", "no_text", "html", "inline_css", "markdown"),
    *("mjml", "files", "remove_files", "reply_to", "tags", "topic", "audience", "recipients", "exclude"),
)


class ScheduleForm(RecurrenceForm, FeedForm, ListFields):
    """`given` are the recipients as they were read from the form (`web.recipients`)."""

    beside = {  # noqa: RUF012
        **RecurrenceForm.beside,
        **feed.BESIDE,
        "from": "sender",
        "misfire.grace_s": "grace_minutes",
        "misfire.policy": "misfire",
        "segments": "audience",
        "attachments": "files",
    }

    name = TextField("Name", description="For you; recipients do not see it.")
    sender = TextField("From", name="from", description="For example Ann <ann@mg.example.com>")
    reply_to = TextField("Reply to", description="Optional")
    template = ChoiceField(
        "Template", choices={}, description="Says subject and bodies. Saving takes its newest version."
    )
    subject = TextField("Subject", description="Merge fields in double braces: Hello {{ name }}")
    preheader = TextField("Preheader", description="Optional. An inbox shows it behind the subject.")
    text = LongTextField("Text", render_kw={"class": "code"})
    no_text = BooleanField("Send no text part, only HTML")
    html = LongTextField("HTML", render_kw={"class": "code"}, description="Opens can only be counted in HTML.")
    inline_css = BooleanField(
        "Inline CSS", description="The CSS of <style> goes into the elements too: some mail programs read no <style>."
    )
    markdown = LongTextField(
        "Markdown", render_kw={"class": "code"}, description="In place of HTML: a plain page is made of it."
    )
    mjml = LongTextField(
        "MJML", render_kw={"class": "code"}, description="In place of HTML: a document of mjml.io, made HTML."
    )
    files = MultipleFileField(
        "Attachments",
        description="Optional. Up to ten files, 5 MB together. An image whose name stands in the HTML as cid:name is "
        "shown there.",
    )
    remove_files = BooleanField("Remove the attachments")
    tags = TextField("Tags", description="Optional. Up to three, separated by commas.")
    topic = ChoiceField("Topic", choices={}, description="Readers who have unsubscribed from it get nothing.")
    audience = ChoiceField("Audience", choices={}, description="Its contacts as of the moment when a run begins.")
    exclude = ChoicesField("Leave out", choices={}, description="Optional. Nothing goes to contacts of these.")
    misfire = ChoiceField("If Mailroom was down when runs were due", choices=_MISSED)
    grace_minutes = TextField(
        "Grace period in minutes",
        widget=NumberInput(min=0, step="any"),
        description="A run that is later than this counts as missed.",
    )
    nonce = HiddenTextField()
    version = HiddenTextField()

    given: Given
    given_files: Sequence[Mapping[str, str]] = ()

    @classmethod
    def empty(cls, **values: object) -> "ScheduleForm":
        """A new form; its nonce makes a form that is sent twice one schedule."""
        return cls._filled(None, Given(), {**_DEFAULTS, "inline_css": True, "nonce": secrets.token_hex(16), **values})

    @classmethod
    def sent(cls, form: MultiDict[str, str], given: Given) -> "ScheduleForm":
        """The form as it was typed, with the recipients that were read from it."""
        return cls._filled(form, given, {})

    @classmethod
    def of(cls, stored: StoredSchedule) -> "ScheduleForm":
        """A stored schedule, to be edited. Its recipients stay unless new ones are given."""
        schedule, content = stored.schedule, stored.content
        written = content.as_written
        values = {
            "name": schedule.name,
            "sender": content.sender,
            "reply_to": content.reply_to,
            "template": content.template.name if content.template else "",
            "subject": "" if content.template else content.subject,
            "preheader": written.preheader,
            "text": "" if content.template else written.text or "",
            "no_text": written.text == "" and written.has_html,
            "html": "" if content.template else written.html,
            "inline_css": written.inline_css,
            "markdown": written.markdown,
            "mjml": written.mjml,
            "tags": ", ".join(content.tags),
            "topic": content.topic,
            "exclude": [one.segment or one.audience for one in content.excluded],
            "misfire": schedule.misfire.policy,
            "grace_minutes": f"{schedule.misfire.grace_s / 60:g}",
            "delivery": schedule.delivery,
            "default_time_zone": schedule.default_time_zone,
            "version": str(schedule.version),
        }
        return cls.empty(**values, **feed.values_of(content.feed), **recurrence.values_of(schedule.recurrence))

    @classmethod
    def _filled(cls, form: MultiDict[str, str] | None, given: Given, values: dict[str, object]) -> "ScheduleForm":
        filled = cls(form, data=values)
        filled.given = given
        return filled

    def renew(self) -> None:
        """Take a new nonce: the form is another request than the one before."""
        self.nonce.data = secrets.token_hex(16)

    def offer(self, audiences: Sequence[Audience], segments: Sequence[Segment], *, none: str) -> None:
        """The audiences and segments to choose from. `none` is the label of no choice; a chosen one that is not listed
        stays."""
        names = {one.id: one.name for one in audiences}
        whole: dict[str, str] = {one.id: f"{one.name} ({counted(one.count, 'contact')})" for one in audiences}
        parts = {one.id: f"{names[one.audience]}: {one.name}" for one in segments if one.audience in names}
        choices = {"": none} | whole | parts
        self.audience.offer(choices)
        left_out = {id_: id_ for id_ in self.exclude.data or () if id_ not in choices}
        self.exclude.choices = left_out | whole | parts

    def offer_topics(self, topics: Sequence[Topic]) -> None:
        """The topics to choose from. A chosen one that is not among them stays."""
        self.topic.offer({"": "None: no consent is needed"} | {topic.id: topic.name for topic in topics})

    def offer_templates(self, names: Sequence[str]) -> None:
        """The templates to choose from. A chosen one that is not among them stays."""
        self.template.offer({"": "None: written below"} | {name: name for name in names})

    def wrong(self) -> list[Field]:
        """The fields with messages, in the order of the page."""
        names = [*_FIRST, *(name for name in self._fields if name not in _FIRST)]
        return [self[name] for name in names if self[name].errors]

    def draft(self) -> Draft:
        """The typed fields as a Draft, with those recipients that can be taken."""
        rule, grace, chosen = self.recurrence(), self.seconds("grace_minutes", 60), self.audience.data.strip()
        return Draft(
            name=self.name.data,
            sender=self.sender.data,
            reply_to=self.reply_to.data,
            subject=self.subject.data,
            preheader=self.preheader.data,
            text=self.text.data if self.text.data.strip() or self.no_text.data else None,
            html=self.html.data,
            inline_css=self.inline_css.data,
            markdown=self.markdown.data,
            mjml=self.mjml.data,
            tags=[tag.strip() for tag in self.tags.data.split(",") if tag.strip()],
            topic=self.topic.data.strip() or None,
            template=self.template.data.strip() or None,
            attachments=self.given_files or None,
            feed=self.feed(),
            recipients=self.given.recipients,
            audience="" if is_segment(chosen) else chosen,
            segments=[chosen] if is_segment(chosen) else (),
            exclude=self.exclude.data or None,
            recurrence=rule,
            delivery=self.delivery.data or DeliveryTime.SCHEDULE_TIME,
            default_time_zone=self._default_zone(),
            misfire={"policy": self.misfire.data, "grace_s": grace if grace is not None else 0},
        )

    def _default_zone(self) -> str:
        """What is typed for the other delivery is not meant."""
        in_own_time = self.delivery.data == DeliveryTime.RECIPIENT_TIME
        return self.default_time_zone.data.strip() if in_own_time else ""

    def refuse(self, faults: Iterable[Fault]) -> None:
        """As every form; but a list that has messages of its own gets no others."""
        listed = self.given.any and bool(self.recipients.errors)
        super().refuse(fault for fault in faults if not (listed and self.field_of(fault.path) == "recipients"))

    def look_at_recipients(self) -> None:
        """Put the list's problems beside it. A table with ambiguous headings must be confirmed first."""
        if self.given.table and not self.given.seen and not (self.given.look and self.given.look.certain):
            self.complain("recipients", "Check how the columns below are read, then save.")
        for problem in problems_of(self.given, asked=self.given.any):
            self.complain("recipients", problem)

    def changes(self, stored: StoredSchedule) -> DraftChanges:
        """What an edit changes; recipients or an audience only if one was given, the rule only if it is another one."""
        draft = self.draft()
        changes: DraftChanges = {
            "name": draft.name,
            "sender": draft.sender,
            "reply_to": draft.reply_to,
            "subject": draft.subject,
            "preheader": draft.preheader,
            "text": draft.text,
            "html": draft.html,
            "inline_css": draft.inline_css,
            "markdown": draft.markdown,
            "mjml": draft.mjml,
            "tags": draft.tags,
            "topic": draft.topic,
            "template": draft.template,
            "misfire": draft.misfire,
        }
        if self.delivery.data:
            changes["delivery"], changes["default_time_zone"] = draft.delivery, draft.default_time_zone
        if draft.attachments or self.remove_files.data:
            changes["attachments"] = draft.attachments or ()
        if self.has_feed_fields:
            changes["feed"] = draft.feed
        if draft.recipients:
            changes["recipients"] = draft.recipients
        if draft.audience:
            changes["audience"] = draft.audience
        if draft.segments:
            changes["segments"] = draft.segments
        if not draft.recipients:
            changes["exclude"] = draft.exclude or ()
        if draft.recurrence and ScheduleForm.of(stored).recurrence() != draft.recurrence:
            changes["recurrence"] = draft.recurrence
        return changes
