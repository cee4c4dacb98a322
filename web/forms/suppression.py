"""The form that suppresses an address."""

from collections.abc import Sequence
from typing import Final

from mailroom.domain.suppressions import ALL, CAMPAIGNS
from mailroom.domain.topics import Topic
from web.forms.base import DomainForm
from web.forms.fields import ChoiceField, TextField

_WIDE: Final = {ALL: "all: no email at all", CAMPAIGNS: "campaigns: no campaign, no email with a topic"}


class SuppressionForm(DomainForm):
    address = TextField("Address", render_kw={"placeholder": "bo@example.org"})
    scope = ChoiceField("Scope", choices=_WIDE)
    reason = TextField("Reason", render_kw={"placeholder": "Optional"})

    def offer_topics(self, topics: Sequence[Topic]) -> None:
        """The topics that may be a scope, beside all mail and all campaigns."""
        self.scope.choices = {**_WIDE, **{topic.id: f"{topic.id}: no {topic.name}" for topic in topics}}
