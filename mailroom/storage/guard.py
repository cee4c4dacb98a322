"""The guard of every decision: proof that its lanes are held, under the highest tokens, in this very transaction.

A decision without this proof may come from a frozen sender, and could mail twice. So each write of a decision takes a
LaneGuard, and only `lanes.under` creates guards: a write without a guard does not type-check. Facts take no guard.
"""

from typing import Any, Final, final

from mailroom.storage.database import Session


class GuardEnded(Exception):
    """A guard was used after the end of its block; its tokens are no longer known to be the highest."""


@final
class LaneGuard:
    """Proof for one block within one transaction. Use it only in the thread of that transaction."""

    __slots__ = ("_ended", "_session")

    def __init__(self, session: Session, *, made_by: object) -> None:
        if made_by is not _MAKER:
            raise TypeError("only lanes.under makes a guard")
        self._session = session
        self._ended = False

    @property
    def session(self) -> Session:
        """The session of the guarded transaction. Raises GuardEnded after its block."""
        if self._ended:
            raise GuardEnded
        return self._session

    def end(self) -> None:
        """End the guard: `session` raises GuardEnded from now on."""
        self._ended = True


_MAKER: Final[Any] = object()
