"""The page that asks before an act that mails or cannot be undone. A GET asks; the POST of its form acts.

The act answers a second POST of the same form as it answered the first: a double click does nothing more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flask import render_template


@dataclass(frozen=True, slots=True)
class Question:
    """`title` names the thing and the count; `details` are sentences below it; `button` is the verb. `fields` go with
    the form: a nonce, or what the page has shown, so that the act is about exactly that."""

    title: str
    button: str
    details: Sequence[str] = ()
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    destructive: bool = True


def ask(question: Question, *, act: str, back: str) -> str:
    """The page. `act` is the address that the form is sent to, `back` that of the page to return to."""
    pairs = [
        (name, value)
        for name, values in question.fields.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return render_template("confirm.html", question=question, pairs=pairs, act=act, back=back)
