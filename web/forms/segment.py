"""The form of a segment."""

from web.forms.base import DomainForm
from web.forms.fields import LongTextField, TextField


class SegmentForm(DomainForm):
    name = TextField("Name", description="For example Rome, not opened lately.")
    filter = LongTextField(
        "Filter",
        render_kw={"class": "code", "spellcheck": "false", "rows": 2, "placeholder": 'city = "Rome"'},
        description='Merge fields and what became of runs: city = "Rome" and not opened in last 3 runs',
    )
