"""Where a vendor sends its webhooks, as its adapter's sibling: pushed there, and tried with a test event."""

from typing import Protocol


def same_but_mark(one: str, other: str) -> bool:
    """True if two addresses are equal up to their query, which holds the mark of a push."""
    return one.partition("?")[0] == other.partition("?")[0]


class Target(Protocol):
    """One account's setting. Both methods raise Unavailable, with the vendor's words."""

    def push(self, url: str, *, instead_of: str) -> None:
        """Make this URL a target for everything that we read, in the place of our earlier one ('' for none), and beside
        targets that others have set."""
        ...

    def ask_for_event(self, url: str, name: str) -> bool:
        """Have an event sent to it. True if that event will carry this name as its run's id."""
        ...
