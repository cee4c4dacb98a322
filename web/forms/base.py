"""What all forms share: text kept as it was typed, and the domain's faults beside the fields."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from wtforms import Form
from wtforms.fields.core import Field

from mailroom.domain.errors import Fault


class DomainForm(Form):
    """A form without rules of its own: the service that takes its values checks them, as it does for the API.

    CSRFProtect of the application checks every form; so none carries a token field of its own.
    """

    #: The field for a path of the domain, where their names differ.
    beside: ClassVar[Mapping[str, str]] = {}

    def refuse(self, faults: Iterable[Fault]) -> None:
        """Put each fault beside its field, and a fault of no field above the form. A message stands once."""
        for fault in faults:
            self.complain(self.field_of(fault.path), fault.message)

    def field_of(self, path: str) -> str:
        """The name of the field that a path of the domain belongs to; '' for none."""
        name = self.beside.get(path) or self.beside.get(path.partition("[")[0]) or path.partition("[")[0]
        return name if name in self else ""

    def complain(self, name: str, message: str) -> None:
        """Put a message beside a field; above the form for the name ''."""
        if name:
            field: Field = self[name]
            if message not in field.errors:
                field.errors = [*field.errors, message]
        elif message not in self.form_errors:
            self.form_errors.append(message)

    def typed(self) -> dict[str, object]:
        """The values by the names that they are posted under."""
        return {field.name: field.data for field in self}
