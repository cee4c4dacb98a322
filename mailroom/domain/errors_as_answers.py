"""Errors that are kept as answers, instead of being raised to the caller."""

from typing import TypeVar

from mailroom.domain.errors import MailroomError

E = TypeVar("E", bound=MailroomError)


def as_answer(error: E) -> E:
    """Return the error without traceback, context and cause. A traceback holds the frames that the error passed
    through, and each frame holds its variables, such as the bodies of other mails. They would stay in memory as long as
    the answer is kept. Where a frame holds the answer itself, they would stay until the next full garbage collection.
    """
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
