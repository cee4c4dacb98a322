"""Record answered requests behind the answer, and show each caller its own."""

from collections.abc import Sequence
from typing import Final

from mailroom.domain.errors import NotTheOwner, TokenNotFound
from mailroom.domain.principals import Principal
from mailroom.domain.served_requests import ServedRequest
from mailroom.services.common.write_behind import WriteBehind
from mailroom.services.operations import tokens
from mailroom.storage import served_requests
from mailroom.storage.database import Db
from mailroom.storage.served_requests import Bundle, EntryPlace
from mailroom.watching.recording import unrecorded

_MOST_WAITING: Final = 10_000  # some seconds of a busy process, and 5 MB
_AT_ONCE: Final = 5_000
_LINGER_S: Final = 1.0


class ServedRequestRecord:
    """Records answered requests without making a caller wait. No guarantee: the last second of a process may be lost,
    and so are requests beyond ten thousand that wait while MongoDB is away; these are counted. Thread-safe. Construct
    it after a fork: it has a thread.
    """

    def __init__(self, db: Db) -> None:
        self._db = db
        self._unwritten: tuple[Sequence[ServedRequest], Sequence[Bundle]] = ((), ())
        self._behind = WriteBehind[ServedRequest](
            self._write, most_waiting=_MOST_WAITING, at_once=_AT_ONCE, linger_s=_LINGER_S, name="requests"
        )

    def keep(self, served: ServedRequest) -> None:
        """Record this request within about a second."""
        if not self._behind.add(served):
            unrecorded()

    def close(self, *, within_s: float) -> None:
        """Write what waits, as far as that is possible within this time."""
        self._behind.close(within_s=within_s)

    def _write(self, batch: Sequence[ServedRequest]) -> None:
        # The same bundles in each try: a try whose answer was lost may have stored them.
        if self._unwritten[0] is not batch:
            self._unwritten = (batch, list(served_requests.bundles_of(batch)))
        served_requests.add_many(self._db, self._unwritten[1])


def page(
    db: Db, caller: Principal, *, token: str | None, before: EntryPlace | None, limit: int
) -> list[tuple[EntryPlace, ServedRequest]]:
    """Requests made with a token, newest first; None: with the caller's own. Raises NotTheOwner, unless the caller may
    do all or the token has the same owner, as after a rotation."""
    wanted = token or caller.id
    if wanted != caller.id and not caller.may("admin") and not _is_of(db, wanted, caller.owner):
        raise NotTheOwner(f"token {wanted} belongs to somebody else")
    return served_requests.page(db, wanted, before=before, limit=limit)


def _is_of(db: Db, token: str, owner: str) -> bool:
    try:
        return tokens.known(db, token).owner == owner
    except TokenNotFound:
        return False
