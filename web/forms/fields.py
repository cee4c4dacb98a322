"""Fields whose value is the text as it was typed: '' where it was not sent, and line ends as on the server."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from wtforms import (
    HiddenField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.widgets import Input


class FieldOptions(TypedDict, total=False):
    """What a field may be given beside its label."""

    description: str
    default: str
    render_kw: dict[str, Any]  # type: ignore[explicit-any]  # as WTForms has it
    widget: Input
    name: str


def as_typed(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n")


class TextField(StringField):
    data: str

    def __init__(self, label: str, **more: Unpack[FieldOptions]) -> None:
        super().__init__(label, filters=[as_typed], **more)


class LongTextField(TextAreaField):
    data: str

    def __init__(self, label: str, **more: Unpack[FieldOptions]) -> None:
        super().__init__(label, filters=[as_typed], **more)


class SecretField(PasswordField):
    """A refused form does not show it again."""

    data: str

    def __init__(self, label: str, **more: Unpack[FieldOptions]) -> None:
        super().__init__(label, filters=[as_typed], **more)


class HiddenTextField(HiddenField):
    data: str

    def __init__(self, **more: Unpack[FieldOptions]) -> None:
        super().__init__(filters=[as_typed], **more)


class ChoiceField(SelectField):
    """One of `choices`, labels by value, or another value that the domain refuses."""

    data: str
    choices: Mapping[str, str]  # type: ignore[assignment]

    def __init__(self, label: str, *, choices: Mapping[str, str], **more: Unpack[FieldOptions]) -> None:
        super().__init__(label, choices=choices, filters=[as_typed], **more)  # type: ignore[arg-type]

    def offer(self, choices: Mapping[str, str]) -> None:
        """Set the choices. A chosen value that is not among them stays."""
        self.choices = choices if self.data in choices else {self.data: self.data, **choices}


class RadioChoiceField(RadioField):
    data: str

    def __init__(self, label: str, *, choices: Mapping[str, str], **more: Unpack[FieldOptions]) -> None:
        super().__init__(label, choices=choices, filters=[as_typed], **more)  # type: ignore[arg-type]


class ChoicesField(SelectMultipleField):
    """Any number of `choices`, labels by value."""

    choices: Mapping[str, str]  # type: ignore[assignment]

    def __init__(self, label: str, *, choices: Mapping[str, str], **more: Unpack[FieldOptions]) -> None:
        super().__init__(label, choices=choices, **more)  # type: ignore[arg-type]
