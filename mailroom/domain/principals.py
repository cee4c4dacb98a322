"""Authenticated callers, and the permissions of their scopes."""

from dataclasses import dataclass
from typing import Final

from mailroom.domain.errors import ScopeMissing
from mailroom.domain.ids import DispatchId, RunId, is_email

SCOPES: Final = {
    "admin": "everything",
    "read": "look at schedules, runs, reports and mails",
    "schedules": "make and change schedules, resolve and requeue what campaigns sent, and look at everything",
    "mail": "send single mails, resolve and requeue these, and look at everything",
}


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: the id, name, owner and scopes of the token, and its own limits.

    A rotation keeps `owner`; Idempotency-Keys, templates and limits belong to the owner.
    """

    id: str
    name: str
    scopes: frozenset[str]
    owner: str
    requests_per_minute: int | None = None
    mails_per_day: int | None = None

    def may(self, scope: str) -> bool:
        """`admin` may do all; every token may read."""
        return scope in self.scopes or "admin" in self.scopes or scope == "read"

    def require(self, *any_of: str) -> None:
        """Raises ScopeMissing for a token with none of these scopes."""
        if not any(self.may(scope) for scope in any_of):
            raise ScopeMissing(*any_of)

    def require_for(self, dispatch: DispatchId) -> None:
        """Raises ScopeMissing if the token may not decide about this dispatch."""
        self.require(scope_of(dispatch))


def scope_of(dispatch: DispatchId) -> str:
    """The scope that may decide about a dispatch: `mail` for a single mail, `schedules` for a campaign."""
    return "mail" if is_email(RunId(dispatch)) else "schedules"  # a dispatch id begins with its run id
