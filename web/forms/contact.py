"""The forms of an audience's contacts: many from a list, and one by hand."""

from collections.abc import Mapping

from mailroom.domain.audiences import Value
from mailroom.domain.contacts import Contact
from web.forms.base import DomainForm
from web.forms.fields import LongTextField, TextField
from web.forms.recipients import ListFields


class ContactsForm(ListFields):
    """Contacts to be added, or changed."""


class ContactForm(DomainForm):
    name = TextField("Name")
    variables = LongTextField(
        "Merge fields",
        render_kw={"class": "code", "spellcheck": "false", "placeholder": "city: Rome"},
        description="One a line: its name, a colon, its value.",
    )
    time_zone = TextField("Time zone", description="For example Europe/Berlin. Optional.")
    language = TextField("Language", description="For example en or de-AT. Optional.")

    @classmethod
    def of(cls, contact: Contact) -> "ContactForm":
        recipient = contact.recipient
        return cls(
            data={
                "name": recipient.name,
                "variables": "\n".join(f"{name}: {_written(value)}" for name, value in recipient.variables.items()),
                "time_zone": recipient.time_zone,
                "language": recipient.language,
            }
        )

    def asked(self, stored: Contact) -> dict[str, object]:
        """The changes. A merge field that is not among the lines is removed; a value that is as it was keeps its
        type."""
        before = stored.recipient.variables
        given = dict(map(_read, filter(str.strip, self.variables.data.splitlines())))
        changed = {name: before[name] if _same(before, name, text) else text for name, text in given.items()}
        return {
            "name": self.name.data.strip(),
            "variables": {**dict.fromkeys(before), **changed},
            "time_zone": self.time_zone.data.strip(),
            "language": self.language.data.strip(),
        }


def _read(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _same(before: Mapping[str, Value], name: str, text: str) -> bool:
    return name in before and _written(before[name]) == text


def _written(value: Value) -> str:
    """In one line."""
    return "" if value is None else " ".join(str(value).split())
