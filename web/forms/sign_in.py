"""The form that signs a person in."""

from web.forms.base import DomainForm
from web.forms.fields import HiddenTextField, SecretField


class SignInForm(DomainForm):
    """`next` is the page to go to; `typed` holds the fields of a form that was sent after its session had ended."""

    token = SecretField(
        "Token",
        render_kw={"autocomplete": "current-password", "required": True, "autofocus": True, "placeholder": "mr_…"},
    )
    next = HiddenTextField()
    typed_before = HiddenTextField(name="typed")
