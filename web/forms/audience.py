"""The form of a new audience."""

import secrets

from werkzeug.datastructures import MultiDict

from web.forms.fields import HiddenTextField, TextField
from web.forms.recipients import ListFields
from web.recipients import Given, problems_of


class AudienceForm(ListFields):
    """`given` are the recipients as they were read from the form (`web.recipients`)."""

    name = TextField("Name")
    nonce = HiddenTextField()

    given: Given

    @classmethod
    def empty(cls) -> "AudienceForm":
        """A new form; its nonce makes a form that is sent twice one audience."""
        form = cls(data={"nonce": secrets.token_hex(16)})
        form.given = Given()
        return form

    @classmethod
    def sent(cls, typed: MultiDict[str, str], given: Given) -> "AudienceForm":
        """The form as it was typed, with the recipients that were read from it."""
        form = cls(typed)
        form.given = given
        return form

    def renew(self) -> None:
        """Take a new nonce: the form is another request than the one before."""
        self.nonce.data = secrets.token_hex(16)

    def look_at_recipients(self, *, asked: bool) -> None:
        """Put the list's problems beside it. `asked`: the person wanted to save the list."""
        for problem in problems_of(self.given, asked=asked):
            self.complain("recipients", problem)
