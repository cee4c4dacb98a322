"""Single mails handed in, looked at and cancelled. Used by the API and the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from mailroom.domain.addresses import fold
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.emails.status import overall
from mailroom.domain.errors import EmailUnderWay, IdempotencyMismatch, InvalidInput, Unavailable
from mailroom.domain.ids import (
    DispatchId,
    EmailId,
    MessageId,
    keyed_email_id,
    new_email_id,
    run_of_email,
)
from mailroom.domain.messages import MessageState
from mailroom.domain.templates import Template
from mailroom.services.group_commit import GroupCommit
from mailroom.services.idempotency import check_key, digest_of_request
from mailroom.services.placing import place
from mailroom.services.recording import tell_these
from mailroom.services.server_time import Clocks
from mailroom.services.stories import Step, steps_of_messages
from mailroom.storage import bodies, dispatch_outcomes, dispatches, emails, messages, templates
from mailroom.storage.database import AlreadyThere, Db, Document, Session, in_transaction, server_now
from mailroom.storage.emails import NewEmail, Search

_BATCH: Final = 200
_LARGE: Final = 64 * 1024  # characters


class _Fate(StrEnum):
    NEW = "new"
    REPEATED = "repeated"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class _HandedIn:
    new: NewEmail
    body: Document


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that is stored: it will be sent, or its state will say why not. `new` is False for a repeated request."""

    id: EmailId
    new: bool


class Outbox:
    """Where single mails are handed in, from many threads. Make it after a fork: it has a thread."""

    def __init__(self, db: Db, *, lanes: int) -> None:
        self._db, self._lanes = db, lanes
        self._clocks = Clocks(db)
        self._group = GroupCommit[_HandedIn, _Fate](self._commit, most=_BATCH, name="outbox")

    def hand_in(self, draft: EmailDraft, *, owner: str, key: str | None = None) -> Taken:
        """Store a mail, whole or not at all: on a majority's disks when this returns. With an Idempotency-Key the same
        request again finds the same mail.

        Raises InvalidInput, IdempotencyMismatch; Unavailable: it may be stored or not, and with the same key it can be
        handed in again.
        """
        (answer,) = self.hand_in_many([(draft, key)], owner=owner)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hand_in_many(self, asked: Sequence[tuple[EmailDraft, str | None]], *, owner: str) -> list[Taken | Exception]:
        """Several mails, each with its key or None; what is refused of one concerns no other.

        Returns for each what `hand_in` would return or raise.
        """
        try:
            answers = self._handed_in_before(asked, owner)
            known = self._templates([draft for index, (draft, _) in enumerate(asked) if index not in answers])
        except Unavailable as error:
            return [error for _ in asked]
        checked: dict[int, NewEmail] = {}
        for index, (draft, key) in enumerate(asked):
            if index in answers:
                continue
            try:
                checked[index] = self._checked(draft, known.get(draft.template), owner, key)
            except (InvalidInput, Unavailable) as error:
                answers[index] = error
        answers |= dict(zip(checked, self._hand_in_fresh(list(checked.values())), strict=True))
        return [answers[index] for index in range(len(asked))]

    def _templates(self, drafts: Sequence[EmailDraft]) -> Mapping[str, Template]:
        names = sorted({draft.template for draft in drafts if draft.template})
        return templates.get_many(self._db, names) if names else {}

    def _checked(self, draft: EmailDraft, template: Template | None, owner: str, key: str | None) -> NewEmail:
        check_key(key)
        now = self._clocks.read().now
        email = check_email(draft, now=now, template=template)
        email_id = keyed_email_id(owner, key) if key else new_email_id(now)
        return NewEmail(email_id, owner, digest_of_request(draft) if key else "", email)

    def _handed_in_before(
        self, asked: Sequence[tuple[EmailDraft, str | None]], owner: str
    ) -> dict[int, Taken | Exception]:
        """Repeated requests for what may look otherwise by now, or is large, are answered before anything is done about
        them: a template may have changed since. All others are found when they are to be stored."""
        keyed = {index: keyed_email_id(owner, key) for index, (d, key) in enumerate(asked) if key and _looked_up(d)}
        if not keyed:
            return {}
        known = emails.digests(self._db, list(keyed.values()))
        return {
            index: _answer(id_, _Fate.REPEATED if known[id_] == digest_of_request(asked[index][0]) else _Fate.MISMATCH)
            for index, id_ in keyed.items()
            if id_ in known
        }

    def _hand_in_fresh(self, fresh: Sequence[NewEmail]) -> list[Taken | Exception]:
        handed_in = [_HandedIn(new, bodies.put_aside(self._db, new.id, new.email.body)) for new in fresh]
        fates = self._group.submit_many(handed_in)
        answers = [
            fate if isinstance(fate, Exception) else _answer(one.new.id, fate)
            for one, fate in zip(handed_in, fates, strict=True)
        ]
        # Somebody else was faster with the same key: the files of this one are nobody's.
        for one, fate in zip(handed_in, fates, strict=True):
            if fate in (_Fate.REPEATED, _Fate.MISMATCH):
                bodies.throw_away(self._db, one.body)
        return answers

    def _commit(self, batch: Sequence[_HandedIn]) -> list[_Fate]:
        now = self._clocks.read().now
        while True:
            try:
                return in_transaction(self._db, lambda session: self._store(batch, now, session))
            except AlreadyThere:
                continue  # another process has committed one of them: this time it is found

    def _store(self, batch: Sequence[_HandedIn], now: datetime, session: Session) -> list[_Fate]:
        keyed = [one.new.id for one in batch if one.new.digest]
        known = emails.digests(self._db, keyed, session=session) if keyed else {}
        fates: list[_Fate] = []
        fresh: list[_HandedIn] = []
        for one in batch:
            stored = known.setdefault(one.new.id, "")
            if not one.new.digest or not stored:
                fates.append(_Fate.NEW)
                fresh.append(one)
                known[one.new.id] = one.new.digest
            else:
                fates.append(_Fate.REPEATED if stored == one.new.digest else _Fate.MISMATCH)
        place(self._db, [(one.new, one.body) for one in fresh], lanes=self._lanes, now=now, session=session)
        return fates


@dataclass(frozen=True, slots=True)
class Shown:
    """A mail as it stands: its document, its state, and its recipients' messages, each with the calls made for it."""

    email: Mapping[str, Any]
    state: MessageState
    recipients: Sequence[Mapping[str, Any]]
    tries: Mapping[MessageId, int]


def get(db: Db, email_id: EmailId) -> Shown:
    """Raises EmailNotFound."""
    doc = emails.get(db, email_id)
    found = messages.of_emails(db, [email_id])[email_id]
    return _shown(doc, found, _calls(db, email_id, found))


def events_of(db: Db, email_id: EmailId) -> list[Step]:
    """Everything that happened to a mail, in order. Raises EmailNotFound."""
    emails.get(db, email_id)
    return steps_of_messages(db, messages.of_emails(db, [email_id])[email_id])


def page(db: Db, search: Search, *, before: tuple[datetime, str] | None, limit: int) -> list[Shown]:
    """Newest first, without the numbers of calls."""
    docs = emails.page(db, search, before=before, limit=limit)
    found = messages.of_emails(db, [EmailId(doc["_id"]) for doc in docs])
    return [_shown(doc, found[doc["_id"]], {}) for doc in docs]


def page_in_state(
    db: Db, state: MessageState, *, before: tuple[datetime, str] | None, limit: int
) -> tuple[list[Shown], tuple[datetime, str] | None]:
    """Mails of which a recipient is in this state, newest first, and where the next page begins."""
    rows = messages.of_single_mails(db, state, before=before, limit=limit)
    ids = [EmailId(id_) for id_ in dict.fromkeys(row["run_id"] for row in rows)]
    docs, found = emails.get_many(db, ids), messages.of_emails(db, ids)
    shown = [_shown(docs[id_], found[id_], {}) for id_ in ids if id_ in docs]
    # After all of the last mail's recipients: it is shown once, however many of them are in this state.
    last = (rows[-1]["created_at"], f"{rows[-1]['run_id']}/") if len(rows) == limit else None
    return shown, last


def cancel(db: Db, email_id: EmailId) -> Shown:
    """Do not send it. Raises EmailNotFound; EmailUnderWay where it was sent or its call is under way: then it is at
    least not tried again."""
    emails.get(db, email_id)
    now = server_now(db)

    def work(session: Session) -> int:
        return dispatch_outcomes.cancel(db, run_of_email(email_id), now=now, session=session)

    cancelled = in_transaction(db, work)
    tell_these(db, [DispatchId(doc["_id"]) for some in dispatches.of_run(db, run_of_email(email_id)) for doc in some])
    shown = get(db, email_id)
    if not cancelled and shown.state is not MessageState.CANCELLED:
        raise EmailUnderWay(f"mail {email_id} is {shown.state.replace('_', ' ')}: it cannot be cancelled any more")
    return shown


def _looked_up(draft: EmailDraft) -> bool:
    return bool(draft.template or draft.attachments) or len(draft.text) + len(draft.html) > _LARGE


def _answer(id_: EmailId, fate: _Fate) -> Taken | Exception:
    if fate is _Fate.MISMATCH:
        return IdempotencyMismatch("this Idempotency-Key was used with another body")
    return Taken(id_, new=fate is _Fate.NEW)


def _shown(doc: Mapping[str, Any], found: Sequence[Mapping[str, Any]], tries: Mapping[MessageId, int]) -> Shown:
    places = {key: number for number, key in enumerate(doc["recipients"])}
    in_order = sorted(found, key=lambda message: places.get(fold(message["address"]), 0))
    return Shown(doc, overall({MessageState(message["state"]) for message in found}), in_order, tries)


def _calls(db: Db, email_id: EmailId, found: Sequence[Mapping[str, Any]]) -> dict[MessageId, int]:
    """How many calls were made for each recipient: those that used up a try, and the one that is not decided or was
    accepted."""
    made: dict[str, Mapping[str, Any]] = {
        doc["_id"]: doc for some in dispatches.of_run(db, run_of_email(email_id)) for doc in some
    }
    return {MessageId(message["_id"]): _calls_for(message, made) for message in found}


def _calls_for(message: Mapping[str, Any], made: Mapping[str, Mapping[str, Any]]) -> int:
    left = message.get("left_dispatch")  # before the newest call, which was not for this one
    calls, doc = 0, made.get(message.get("dispatch_id") or left or "")
    while doc is not None:
        undecided = doc["state"] in ("sending", "in_doubt", "unknown") or bool(doc.get("accepted"))
        calls += doc["tries"] + (undecided and doc["_id"] != left)
        doc = made.get(doc.get("parent", ""))
    return calls
