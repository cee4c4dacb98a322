"""The form that suppresses an address."""

from mailroom.domain.suppressions import ALL, CAMPAIGNS
from web.forms.base import DomainForm
from web.forms.fields import ChoiceField, TextField


class SuppressionForm(DomainForm):
    address = TextField("Address", render_kw={"placeholder": "bo@example.org"})
    scope = ChoiceField("Scope", choices={ALL: "all: no email at all", CAMPAIGNS: "campaigns: no campaign"})
    reason = TextField("Reason", render_kw={"placeholder": "Optional"})
