"""The thread that reads the mailboxes for bounces. It is separate from all others: a mail server that hangs delays
nothing else."""

import contextlib
import random
import threading
from collections.abc import Sequence
from contextvars import copy_context
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import MailboxAway, Unavailable
from mailroom.services.operations import mailboxes
from mailroom.services.operations.mailboxes import Letterbox

log = structlog.get_logger()
_FIRST_LOOK_S: Final = 1.0


class MailboxReader:
    """Looks into each mailbox, one after the other, then waits. Without mailboxes it starts no thread."""

    def __init__(self, services: SenderServices, *, sender: str) -> None:
        self._services, self._by, self._recognition = services, sender, services.recognition
        self._every_s = services.settings.returned_mail.every.total_seconds()
        self._away: set[int] = set()  # numbers of the mailboxes that could not be read the last time
        self._stop = threading.Event()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="mailboxes", daemon=True)

    def start(self) -> None:
        if self._services.letterboxes:
            self._thread.start()

    def finish(self, *, within_s: float) -> None:
        """Take in no more mails. The one in hand may be cut off: it is taken in again by whoever looks next."""
        self._stop.set()
        if self._thread.ident is None:
            return
        self._thread.join(within_s)
        with contextlib.suppress(Unavailable):
            mailboxes.let_go(self._services.db, self._services.letterboxes, by=self._by)

    def step(self, boxes: Sequence[Letterbox]) -> None:
        """Look into each of these mailboxes once."""
        for box in boxes:
            if self._stop.is_set():
                return
            try:
                self._look(box)
            except Unavailable as error:
                log.warning("mailboxes_wait", error=str(error))
                return

    def _look(self, box: Letterbox) -> None:
        """Raises Unavailable if MongoDB is away. A mailbox that is away is told once, and once when it is back."""
        services = self._services
        try:
            done = mailboxes.look(
                services.db,
                box,
                self._recognition,
                by=self._by,
                again_in_s=self._every_s,
                stopping=self._stop.is_set,
            )
        except MailboxAway as error:
            if box.number not in self._away:
                log.warning("mailbox_cannot_be_read", mailbox=box.number, error=str(error))
            self._away.add(box.number)
            return
        if done is not None and box.number in self._away:
            self._away.discard(box.number)
            log.info("mailbox_read_again", mailbox=box.number)
        if done:
            log.info("mailbox_read", mailbox=box.number, **{str(result): count for result, count in done.items()})

    def _run(self) -> None:
        self._stop.wait(_FIRST_LOOK_S * random.random())  # noqa: S311 - so that not all senders look at once
        while not self._stop.is_set():
            try:
                self.step(self._services.letterboxes)
            except Exception:
                # Each mail is taken in by one transaction, so it is safe to go on.
                log.exception("mailboxes_failed")
            self._stop.wait(self._every_s * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
