"""Errors that are kept as answers, instead of being raised to the caller."""

from typing import TypeVar

from mailroom.domain.errors import MailroomError

E = TypeVar("E", bound=MailroomError)


def as_answer(error: E) -> E:
    """The error without the frames that raised it. They would keep all that those frames and their callers hold, such
    as the bodies of other mails, for as long as the answer is kept; and where a caller holds the answer itself, until
    the next full garbage collection."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
