"""The form of a topic."""

from collections.abc import Sequence
from typing import Final

from wtforms.fields import BooleanField

from mailroom.domain.audiences import Audience
from mailroom.domain.confirmations import DEFAULT_WITHIN_S
from mailroom.domain.topics import Topic, asked_of
from web.forms.base import DomainForm
from web.forms.fields import ChoiceField, HiddenTextField, LongTextField, TextField

_HOUR_S: Final = 3_600


def _in_hours(seconds: int) -> str:
    return f"{seconds / _HOUR_S:g}"


class TopicForm(DomainForm):
    beside = {"confirm_within_s": "confirm_within"}  # noqa: RUF012

    id = TextField("Id", description="Small letters, digits and -. It cannot be changed later.")
    name = TextField("Name", description="As readers see it, for example Weekly news.")
    postal_address = LongTextField("Postal address of the sender", description="Many laws ask for it in newsletters.")
    footer = BooleanField("Add a footer with this address and an unsubscribe link to emails that have no link")
    double_opt_in = BooleanField(
        "Ask subscribers to confirm by email (double opt-in)",
        description="Whoever fills in the form gets one email, and is subscribed once they follow its link.",
    )
    confirm_from = TextField("From", description="Required with double opt-in, for example Shop <news@example.com>.")
    confirm_subject = TextField("Subject", description="Optional. {{ topic }} is the topic's name.")
    confirm_text = LongTextField("Text", description="Optional. {{ confirm_url }} is the link.")
    confirm_html = LongTextField("HTML", render_kw={"class": "code"}, description="Optional")
    confirm_within = TextField(
        "Link works for (hours)", default=_in_hours(DEFAULT_WITHIN_S), render_kw={"inputmode": "decimal"}
    )
    audience = ChoiceField(
        "Audience", choices={}, description="Optional. Whoever subscribes by the form comes into it."
    )
    version = HiddenTextField()

    @classmethod
    def of(cls, topic: Topic) -> "TopicForm":
        within = _in_hours(topic.confirmation.within_s)
        own = {"id": topic.id, "version": str(topic.version), "confirm_within": within}
        return cls(data=asked_of(topic) | own)

    def offer(self, audiences: Sequence[Audience]) -> None:
        """The audiences to choose from. A chosen one that is not among them stays."""
        self.audience.offer({"": "None"} | {one.id: one.name for one in audiences})

    @property
    def shows_confirmation(self) -> bool:
        """True if the fields about the confirmation email are to be seen at once."""
        wrong = any(field.errors for field in self if field.name.startswith("confirm_"))
        return bool(self.double_opt_in.data) or wrong

    def asked(self) -> dict[str, object]:
        asked: dict[str, object] = {
            name: self[name].data for name in self.data if name not in ("id", "version", "confirm_within")
        }
        if within := self.confirm_within.data.strip():
            asked["confirm_within_s"] = _seconds(within)
        return asked


def _seconds(hours: str) -> object:
    """The hours in seconds; the text itself, which the domain refuses, if they are no number."""
    try:
        return round(float(hours.replace(",", ".")) * _HOUR_S)
    except (ValueError, OverflowError):
        return hours
