"""The form of a new audience."""

import secrets

from web.forms.fields import HiddenTextField, TextField
from web.forms.recipients import ListFields
from web.recipients import Given


class AudienceForm(ListFields):
    name = TextField("Name")
    nonce = HiddenTextField()

    @classmethod
    def empty(cls) -> "AudienceForm":
        """A new form; its nonce makes a form that is sent twice one audience."""
        form = cls(data={"nonce": secrets.token_hex(16)})
        form.given = Given()
        return form

    def renew(self) -> None:
        """Take a new nonce: the form is another request than the one before."""
        self.nonce.data = secrets.token_hex(16)
