"""The fields of a form that take a list of recipients: pasted, or in a file. `web.recipients` reads them."""

from typing import Self

from werkzeug.datastructures import MultiDict
from wtforms import FileField

from web.forms.base import DomainForm
from web.forms.fields import LongTextField
from web.recipients import Given, problems_of


class ListFields(DomainForm):
    """`given`: the recipients as they were read from the form, where a form sets them."""

    given: Given

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

    @classmethod
    def sent(cls, typed: MultiDict[str, str], given: Given) -> Self:
        """The form as it was typed, with the recipients that were read from it."""
        form = cls(typed)
        form.given = given
        return form

    def look_at_list(self, *, asked: bool) -> None:
        """Put the list's problems beside it. `asked`: the person wanted to save the list."""
        for problem in problems_of(self.given, asked=asked):
            self.complain("recipients", problem)
