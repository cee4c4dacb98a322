"""The guard of every decision: proof that its lanes are held, under the highest tokens, in this very transaction.

A decision that is written without this proof may be a frozen sender's, and mail twice. So each write of a decision
takes a LaneGuard, and only `lanes.under` makes one: leaving it out does not type-check. Facts take none.
"""

from typing import Any, Final, final

from mailroom.storage.database import Session


class GuardEnded(Exception):
    """A guard was used after the block that it was made for; its tokens are no longer known to be the highest."""


@final
class LaneGuard:
    """Proof for one block within one transaction. It belongs to the thread of that transaction."""

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
        """Nothing is written under this guard any more."""
        self._ended = True


_MAKER: Final[Any] = object()
