"""Read the mailboxes that bounces come to, each by one process at a time.

A mail is marked as read after what it says is stored: a process that dies between the two leaves it to the next look,
which finds it stored.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from mailroom.domain.errors import MailboxAway, Unavailable
from mailroom.domain.returned_mail.reading import MOST_READ
from mailroom.mailboxes.imap import FetchedMail, ImapFolder, OpenFolder
from mailroom.services.operations.returned_mail import MailResult, Recognition, TakenMail, take_in
from mailroom.storage.cluster import mailboxes, restore_mark
from mailroom.storage.cluster.mailboxes import ReadMailbox
from mailroom.storage.database import Db
from mailroom.watching.mailboxes import mail_found

log = structlog.get_logger()
_HELD_S: Final = 60.0  # beyond the time until the next look
_SAY_AGAIN_S: Final = _HELD_S / 4
_A_STEP: Final = 100  # mails


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A mailbox by the number that it has in the settings. `name`: of its state, the same for every process."""

    number: int
    folder: ImapFolder

    @property
    def name(self) -> str:
        place = self.folder.place
        return f"{place.user}@{place.host}/{place.folder}"


def look(
    db: Db,
    box: Letterbox,
    recognition: Recognition,
    *,
    by: str,
    again_in_s: float = 0.0,
    stopping: Callable[[], bool] = lambda: False,
) -> Counter[MailResult] | None:
    """Take in all new mails of this mailbox. Returns what became of them; None if another process reads it, or senders
    hold because MongoDB is an older copy, which may not know the mails that bounce.

    `again_in_s`: when this process looks again; until a minute after that no other one does. Raises MailboxAway,
    Unavailable.
    """
    lease = _Lease(db, box.name, by, again_in_s + _HELD_S)
    if restore_mark.is_held(db) or not lease.take():
        return None
    done: Counter[MailResult] = Counter()
    try:
        with box.folder.open() as folder:
            seen: set[int] = set()
            while not stopping() and (uids := _unseen(folder, seen)):
                seen.update(uids)
                _take_all(db, folder, uids, recognition, done, lambda: stopping() or not lease.goes_on())
                if not lease.goes_on():
                    return done
        if not stopping():
            mailboxes.note_read(db, box.name)
    except MailboxAway as error:
        mailboxes.note_fault(db, box.name, str(error))
        raise
    return done


def let_go(db: Db, boxes: Sequence[Letterbox], *, by: str) -> None:
    """Let another process read these mailboxes at once. Raises Unavailable."""
    for box in boxes:
        mailboxes.let_go(db, box.name, by=by)


def states(db: Db, boxes: Sequence[Letterbox]) -> list[tuple[Letterbox, ReadMailbox]]:
    """Those of these mailboxes that were looked at before, each with how it stands. Raises Unavailable."""
    by_name = {box.name: box for box in boxes}
    return [(by_name[state.name], state) for state in mailboxes.states(db, list(by_name))]


def ages_s(db: Db, boxes: Sequence[Letterbox], *, now: datetime) -> dict[int, float]:
    """For how long each mailbox was not read to its end, by its number, as far as it was looked at. Raises
    Unavailable."""
    return {box.number: max(0.0, (now - state.last).total_seconds()) for box, state in states(db, boxes)}


def _unseen(folder: OpenFolder, seen: Collection[int]) -> list[int]:
    """The next mails that were not met in this look. A mail that cannot be fetched, or whose mark the server does not
    keep, is found again each time, and stands before those behind it."""
    return [uid for uid in folder.new_mails(limit=_A_STEP + len(seen)) if uid not in seen]


class _Lease:
    """Says, and says again now and then, that this process reads the mailbox."""

    def __init__(self, db: Db, name: str, by: str, for_s: float) -> None:
        self._db, self._name, self._by, self._for_s = db, name, by, for_s
        self._said_at, self._ours = 0.0, False

    def take(self) -> bool:
        """False while another process reads it. Raises Unavailable."""
        self._said_at = time.monotonic()
        self._ours = mailboxes.hold(self._db, self._name, by=self._by, for_s=self._for_s)
        return self._ours

    def goes_on(self) -> bool:
        """False once another process reads it. Raises Unavailable."""
        if self._ours and time.monotonic() - self._said_at > _SAY_AGAIN_S:
            return self.take()
        return self._ours


def _take_all(
    db: Db,
    folder: OpenFolder,
    uids: Sequence[int],
    recognition: Recognition,
    done: Counter[MailResult],
    ended: Callable[[], bool],
) -> None:
    for uid in uids:
        if ended():
            return
        fetched = folder.fetch(uid, most=MOST_READ)
        if fetched is None:
            continue
        taken = _taken(db, fetched, recognition)
        if taken is None:
            if ended():
                return  # cut off by our own end: the mail stays as it is for the next look
            taken = TakenMail(MailResult.LEFT, "an error in Mailroom; see the log")
        if taken.result is MailResult.LEFT:
            log.warning("returned_mail_left", uid=uid, size=fetched.size, why=taken.why)
            folder.give_star(uid)
        else:
            folder.mark_read(uid)
        done[taken.result] += 1
        mail_found(taken.result)


def _taken(db: Db, fetched: FetchedMail, recognition: Recognition) -> TakenMail | None:
    """None after a bug of ours: in one mail it must not hold up the others, nor be met again for ever."""
    try:
        return take_in(db, fetched.raw, recognition)
    except Unavailable:
        raise
    except Exception:
        log.exception("returned_mail_broken", uid=fetched.uid)
        return None
