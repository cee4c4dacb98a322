"""Our ids as tags of a message, for vendors whose tags hold only letters, digits, `_` and `-` (Amazon SES, Resend).
They come back with every event of the message."""

from typing import Final

RUN, DISPATCH, ATTEMPT = "mailroom-run", "mailroom-dispatch", "mailroom-attempt"
_DOT: Final = "__"  # tags may not hold a dot, and our ids never hold two underscores


def as_tag(id_: str) -> str:
    return id_.replace(".", _DOT)


def of_tag(value: str) -> str:
    return value.replace(_DOT, ".")
