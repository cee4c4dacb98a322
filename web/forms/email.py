"""The form of one email that a person sends."""

import base64
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from werkzeug.datastructures import FileStorage
from wtforms import MultipleFileField

from mailroom.domain.addresses import InvalidAddress, pieces_of
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import Priority
from mailroom.domain.errors import Fault
from mailroom.domain.limits import MAX_MAIL_BYTES
from mailroom.domain.words import counted
from web.forms.base import DomainForm
from web.forms.fields import ChoiceField, HiddenTextField, LongTextField, TextField

_PRIORITIES: Final[Mapping[str, str]] = {
    Priority.HIGH: "High: before everything that waits",
    Priority.NORMAL: "Normal",
    Priority.LOW: "Low: after all other emails of this kind",
}
_SAMPLE_TEXT: Final = """Hello Bo,

follow this link to set a new password:
https://shop.example.com/reset/4711

It is good for one hour.
"""
_SAMPLE_HTML: Final = """<p>Hello Bo,</p>
<p><a href="https://shop.example.com/reset/4711">Set a new password</a>. The link is good for one hour.</p>
"""


class EmailForm(DomainForm):
    """The values go to the outbox, which checks them as it does for the API."""

    beside = {"from": "sender"}  # noqa: RUF012

    sender = TextField("From", name="from", description="For example Shop <shop@mg.example.com>")
    to = TextField("To", description="One address, or several separated by commas.")
    cc = TextField("Cc")
    bcc = TextField("Bcc")
    reply_to = TextField("Reply to")
    subject = TextField("Subject")
    text = LongTextField("Text", description="Made from the HTML if empty.")
    html = LongTextField("HTML", render_kw={"class": "code"}, description="Optional")
    priority = ChoiceField("Priority", choices=_PRIORITIES)
    attachments = MultipleFileField(
        "Attachments", description=f"Optional. At most {MAX_MAIL_BYTES // 1024**2} MB, with the text."
    )
    nonce = HiddenTextField()

    @classmethod
    def empty(cls) -> "EmailForm":
        """A new form; its nonce makes a form that is sent twice one email."""
        return cls(data={"priority": Priority.NORMAL, "nonce": secrets.token_hex(16)})

    @classmethod
    def sample(cls, domain: str) -> "EmailForm":
        """A whole email from this domain, to be changed and sent."""
        form = cls.empty()
        form.sender.data = f"Shop <shop@{domain}>"
        form.to.data = "Bo <bo@example.org>"
        form.subject.data = "Your new password"
        form.text.data, form.html.data = _SAMPLE_TEXT, _SAMPLE_HTML
        form.priority.data = Priority.HIGH
        return form

    def renew(self) -> None:
        """Take a new nonce: the form is another request than the one before."""
        self.nonce.data = secrets.token_hex(16)

    def draft(self, files: Sequence[FileStorage]) -> EmailDraft:
        """The typed fields and the chosen files. What cannot be read gets a message, and stays out."""
        return EmailDraft(
            sender=self.sender.data,
            to=self._addresses("to"),
            cc=self._addresses("cc"),
            bcc=self._addresses("bcc"),
            reply_to=self.reply_to.data,
            subject=self.subject.data,
            text=self.text.data if self.text.data.strip() else None,
            html=self.html.data,
            priority=self.priority.data,
            attachments=self._attached(files),
        )

    def refuse(self, faults: Iterable[Fault]) -> None:
        """As every form; but a field that has a message already gets no others, which may follow from the first."""
        wrong = {field.name for field in self if field.errors}
        super().refuse(fault for fault in faults if fault.path.partition("[")[0] not in wrong)

    def ask_for_files_again(self, files: Sequence[FileStorage]) -> None:
        """A browser empties the field when the form comes back."""
        if files:
            self.complain("attachments", f"Choose the {counted(len(files), 'file')} again: they are not kept here")

    def _addresses(self, name: str) -> list[str]:
        try:
            return [piece.strip() for piece, _ in pieces_of(self[name].data) if piece.strip()]
        except InvalidAddress as error:
            self.complain(name, str(error))
            return []

    def _attached(self, files: Sequence[FileStorage]) -> list[dict[str, str]]:
        size = sum(_size_of(file) for file in files)
        if size > MAX_MAIL_BYTES:
            self.complain("attachments", f"The files have {size:,} bytes together; {MAX_MAIL_BYTES:,} fit")
            return []
        return [
            {
                "filename": file.filename or "",
                "content_type": file.content_type or "",
                "content": base64.b64encode(file.read()).decode(),
            }
            for file in files
        ]


def _size_of(file: FileStorage) -> int:
    size = file.stream.seek(0, os.SEEK_END)
    file.stream.seek(0)
    return size
