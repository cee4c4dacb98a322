"""The fields of a form that take a list of recipients: pasted, or in a file. `web.recipients` reads them."""

from wtforms import FileField

from web.forms.base import DomainForm
from web.forms.fields import LongTextField


class ListFields(DomainForm):
    recipients = LongTextField(
        "Paste addresses or CSV",
        render_kw={
            "class": "code",
            "spellcheck": "false",
            "placeholder": "address,name,city\nbo@example.org,Bo,Rome",
        },
        description="One address a line, several with commas or semicolons between them, or CSV. "
        "A repeated address gets one email.",
    )
    recipients_file = FileField("Or a CSV file", render_kw={"accept": ".csv,.txt,.tsv,text/csv"})
