"""Two single mails at two providers: one that goes elsewhere while its call is in doubt, and one that waits."""

from collections import Counter
from datetime import timedelta
from typing import Any, Final

from mailroom.domain.addresses import parse_mailbox
from mailroom.domain.dispatches.elsewhere import GOES_ELSEWHERE_AFTER, WentTwice
from mailroom.domain.dispatches.states import OPEN
from mailroom.domain.emails.model import Addressee, Body, Email, OnDoubt, Place, Priority
from mailroom.domain.ids import EmailId
from mailroom.domain.messages.states import MessageState
from mailroom.services.mails import view
from mailroom.services.mails.store import store_mails
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.mails import bodies
from mailroom.storage.mails.emails import NewEmail
from tests.interleavings.director import START, Choose, Menu, Violation
from tests.interleavings.provider import Provider
from tests.interleavings.world import World

MOVES: Final = EmailId("em_moves")
WAITS: Final = EmailId("em_waits")


class ElsewhereWorld(World):
    """With `both` a mail that waits is sent beside the one that may go elsewhere."""

    mail_lanes = 1

    def __init__(self, choose: Choose, menu: Menu, *, both: bool = True, **rest: Any) -> None:
        self._attempts: dict[str, int] = {}
        super().__init__(choose, menu, sizes=(2, 1) if both else (2,), **rest)

    def check_now(self) -> None:
        """Once its mail went elsewhere, a dispatch gets no new attempt."""
        super().check_now()
        for id_, doc in self.db.dispatches.docs.items():
            if "elsewhere" in doc and doc["attempt"] != self._attempts.setdefault(id_, doc["attempt"]):
                raise Violation(f"the mail of {id_} went elsewhere, and it came to attempt {doc['attempt']}")

    def over(self) -> bool:
        return super().over() and not any("may_move" in doc for doc in self.db.dispatches.docs.values())

    def next_event(self) -> int:
        moving = [doc["may_move"] for doc in self.db.dispatches.docs.values() if "may_move" in doc]
        at = [-(-(marked + GOES_ELSEWHERE_AFTER - START) // timedelta(seconds=1)) for marked in moving]
        later = [moment for moment in [super().next_event(), *at] if moment > self.director.now]
        return min(later, default=-1)

    def _store(self, sizes: Any) -> None:
        self.providers["ses"] = Provider(self.director, lag_s=self.provider.lag_s)
        inside: Any = None  # outside of any transaction
        mails = [_mail(MOVES, OnDoubt.ELSEWHERE, 2), _mail(WAITS, OnDoubt.WAIT, 1)][: len(sizes)]
        fresh = [(new, bodies.put_aside(BodyFiles(self.db), new.id, new.email.body)) for new in mails]
        store_mails(self.db, fresh, lanes=1, now=START, session=inside)

    def _check(self) -> None:
        """A mail that waits went out once, and what is told of the one that may go elsewhere is true. A provider that
        accepts a mail twice has raised before."""
        if open_ := [doc["_id"] for doc in self.db.dispatches.docs.values() if doc["state"] in OPEN]:
            raise Violation(f"{open_} are left undone for ever")
        times = Counter(address for mail in self.accepted for address in mail.addresses)
        self._check_moving(times)
        if WAITS in self.db.emails.docs:
            (told,) = view.get(self.db, WAITS).recipients
            if times[told.address] > 1:
                raise Violation(f"{told.address} waits, and got it twice: {self.accepted}")
            self._check_told(told.state, times[told.address])

    def _check_moving(self, times: Counter[str]) -> None:
        shown = view.get(self.db, MOVES)
        firsts = {id_ for id_, doc in self.db.dispatches.docs.items() if "elsewhere" in doc}
        for recipient in shown.recipients:
            self._check_told(recipient.state, times[recipient.address])
        twice = max(times[recipient.address] for recipient in shown.recipients) > 1
        if twice and not firsts:
            raise Violation(f"it did not go elsewhere, and went twice: {self.accepted}")
        if twice and shown.went_twice not in (WentTwice.YES, WentTwice.MAYBE):
            raise Violation(f"it went twice, and that is told as {shown.went_twice}: {self.accepted}")
        if not twice and shown.went_twice is WentTwice.YES:
            raise Violation(f"it did not go twice: {self.accepted}")

    def _check_told(self, state: MessageState, times: int) -> None:
        if state is not MessageState.UNKNOWN and (state is MessageState.SENT) != (times > 0):
            raise Violation(f"it went out {times} times, and is shown as {state}: {self.accepted}")


def _mail(id_: EmailId, on_doubt: OnDoubt, people: int) -> NewEmail:
    to = [Addressee(parse_mailbox(f"{id_}-{n}@example.org"), Place.TO) for n in range(people)]
    body = Body("Hello", "", {}, [])
    email = Email("a@mg.example.com", "", to, "Hello", body, (), {}, Priority.NORMAL, None, on_doubt)
    return NewEmail(id_, "ann", "", email)
