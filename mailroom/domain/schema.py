"""The form of what is stored, as one number for the whole database. It is raised by each release that changes the form.

A release reads the form of the release before it, its own, and that of the one after it: two releases may run side by
side, and one may go back by one.
"""

from typing import Final

from mailroom.domain.errors import DatabaseTooNew

SCHEMA: Final = 1  # of this release
_AHEAD: Final = 1


def require_readable(stored: int) -> None:
    """Raises DatabaseTooNew for a database of more than one release ahead."""
    if stored > SCHEMA + _AHEAD:
        raise DatabaseTooNew(stored, SCHEMA + _AHEAD)
