"""Our ids as tags of an SES message: they come back with every event of it."""

from typing import Final

RUN, DISPATCH, ATTEMPT = "mailroom-run", "mailroom-dispatch", "mailroom-attempt"
_DOT: Final = "__"  # tags may hold no dot, and no id of ours two underscores


def as_tag(id_: str) -> str:
    return id_.replace(".", _DOT)


def of_tag(value: str) -> str:
    return value.replace(_DOT, ".")
