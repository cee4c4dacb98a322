"""Single mails handed in, from many threads, and stored many a transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from mailroom.domain.addresses import fold
from mailroom.domain.emails.budget import TemplateBudget
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.errors import Fault, IdempotencyMismatch, InvalidInput, Unavailable
from mailroom.domain.ids import (
    EmailId,
    keyed_email_id,
    new_email_id,
)
from mailroom.domain.messages import MessageState
from mailroom.domain.suppressions import OF_SINGLE_MAILS
from mailroom.domain.templates import Template
from mailroom.services.common import mailgun_only
from mailroom.services.common.clock import Clocks
from mailroom.services.common.group_commit import GroupCommit
from mailroom.services.common.idempotency import check_key, digest_of_request
from mailroom.services.mails.store import place
from mailroom.storage import suppressions
from mailroom.storage.database import AlreadyThere, Db, Document, Session, in_transaction
from mailroom.storage.mails import bodies, emails, templates
from mailroom.storage.mails.emails import NewEmail, StoredEmail

_BATCH: Final = 200


_LARGE: Final = 64 * 1024  # characters


class _InsertResult(StrEnum):
    NEW = "new"
    REPEATED = "repeated"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class _HandedIn:
    new: NewEmail
    body: Document


@dataclass(frozen=True, slots=True)
class _Stored:
    """What became of a mail that was handed in; `recipients` only if some of them are suppressed."""

    fate: _InsertResult
    recipients: Sequence[tuple[str, str | None]] = ()


@dataclass(frozen=True, slots=True)
class AcceptedMail:
    """A mail that is stored: it will be sent, or its state will say why not. `new` is False for a repeated request.
    `recipients`: empty unless some are suppressed; then every address, with the reason or None."""

    id: EmailId
    new: bool
    recipients: Sequence[tuple[str, str | None]] = ()

    @property
    def status(self) -> MessageState:
        """`suppressed` if every recipient is, else `queued`."""
        nobody = self.recipients and all(reason is not None for _, reason in self.recipients)
        return MessageState.SUPPRESSED if nobody else MessageState.QUEUED


class Outbox:
    """Where single mails are handed in, from many threads. Make it after a fork: it has a thread."""

    def __init__(self, db: Db, *, lanes: int, providers: Sequence[str] = ()) -> None:
        self._db, self._lanes, self._providers = db, lanes, providers
        self._clocks = Clocks(db)
        self._group = GroupCommit[_HandedIn, _Stored](self._commit, most=_BATCH, name="outbox")

    def hand_in(self, draft: EmailDraft, *, owner: str, key: str | None = None) -> AcceptedMail:
        """Store a mail, whole or not at all: on a majority's disks when this returns. With an Idempotency-Key the same
        request again finds the same mail.

        Raises InvalidInput, IdempotencyMismatch; Unavailable: it may be stored or not, and with the same key it can be
        handed in again.
        """
        (answer,) = self.hand_in_many([(draft, key)], owner=owner)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hand_in_many(
        self, asked: Sequence[tuple[EmailDraft, str | None]], *, owner: str
    ) -> list[AcceptedMail | Exception]:
        """Several mails, each with its key or None; what is refused of one concerns no other.

        Returns for each what `hand_in` would return or raise.
        """
        try:
            answers = self._handed_in_before(asked, owner)
            known = self._templates([draft for index, (draft, _) in enumerate(asked) if index not in answers])
        except Unavailable as error:
            return [error for _ in asked]
        checked: dict[int, NewEmail] = {}
        budget = TemplateBudget()
        for index, (draft, key) in enumerate(asked):
            if index in answers:
                continue
            try:
                budget.spend(draft, known.get(draft.template))
                checked[index] = self._checked(draft, known.get(draft.template), owner, key)
            except (InvalidInput, Unavailable) as error:
                answers[index] = error
        answers |= dict(zip(checked, self._hand_in_fresh(list(checked.values())), strict=True))
        return [answers[index] for index in range(len(asked))]

    def faults_of(self, draft: EmailDraft, budget: TemplateBudget | None = None) -> tuple[Fault, ...]:
        """Every fault of a mail that is refused in any case. Raises Unavailable."""
        known = self._templates([draft])
        try:
            (budget or TemplateBudget()).spend(draft, known.get(draft.template))
            check_email(draft, now=self._clocks.read().now, template=known.get(draft.template))
        except InvalidInput as error:
            return error.faults
        return ()

    def _templates(self, drafts: Sequence[EmailDraft]) -> Mapping[str, Template]:
        names = sorted({draft.template for draft in drafts if draft.template})
        return templates.get_many(self._db, names) if names else {}

    def _checked(self, draft: EmailDraft, template: Template | None, owner: str, key: str | None) -> NewEmail:
        check_key(key)
        now = self._clocks.read().now
        email = check_email(draft, now=now, template=template)
        said = {"subject": email.subject, "text": email.body.text, "html": email.body.html}
        said |= {f"headers.{name}": value for name, value in email.body.headers.items()}
        mailgun_only.check(self._db, self._providers, said)
        email_id = keyed_email_id(owner, key) if key else new_email_id(now)
        return NewEmail(email_id, owner, digest_of_request(draft) if key else "", email)

    def _handed_in_before(
        self, asked: Sequence[tuple[EmailDraft, str | None]], owner: str
    ) -> dict[int, AcceptedMail | Exception]:
        """Repeated requests for what may look otherwise by now, or is large, are answered before anything is done about
        them: a template may have changed since. All others are found when they are to be stored."""
        keyed = {index: keyed_email_id(owner, key) for index, (d, key) in enumerate(asked) if key and _looked_up(d)}
        if not keyed:
            return {}
        known = emails.known(self._db, list(keyed.values()))
        return {
            index: _answer(id_, _repeated(known[id_], digest_of_request(asked[index][0])))
            for index, id_ in keyed.items()
            if id_ in known
        }

    def _hand_in_fresh(self, fresh: Sequence[NewEmail]) -> list[AcceptedMail | Exception]:
        handed_in = [_HandedIn(new, bodies.put_aside(self._db, new.id, new.email.body)) for new in fresh]
        fates = self._group.submit_many(handed_in)
        answers = [
            fate if isinstance(fate, Exception) else _answer(one.new.id, fate)
            for one, fate in zip(handed_in, fates, strict=True)
        ]
        # Somebody else was faster with the same key: the files of this one are nobody's.
        for one, fate in zip(handed_in, fates, strict=True):
            if isinstance(fate, _Stored) and fate.fate is not _InsertResult.NEW:
                bodies.throw_away(self._db, one.body)
        return answers

    def _commit(self, batch: Sequence[_HandedIn]) -> list[_Stored]:
        """Most are new, so nothing is looked up first; where one is not, its id is taken, and all is looked up."""
        batch, now = self._without_suppressed(batch), self._clocks.read().now
        try:
            return in_transaction(self._db, lambda session: self._store(batch, {}, now, session))
        except AlreadyThere:
            return self._commit_beside_known(batch, now)

    def _without_suppressed(self, batch: Sequence[_HandedIn]) -> list[_HandedIn]:
        """The batch with its suppressed recipients marked, by one query for all; they are looked up again before the
        call."""
        keys = {fold(to.mailbox.address) for one in batch for to in one.new.recipients}
        found = suppressions.among(self._db, list(keys), OF_SINGLE_MAILS)
        return [replace(one, new=suppressing_some(one.new, found)) for one in batch] if found else list(batch)

    def _commit_beside_known(self, batch: Sequence[_HandedIn], now: datetime) -> list[_Stored]:
        keyed = [one.new.id for one in batch if one.new.digest]

        def look_and_store(session: Session) -> list[_Stored]:
            return self._store(batch, emails.known(self._db, keyed, session=session), now, session)

        while True:
            try:
                return in_transaction(self._db, look_and_store)
            except AlreadyThere:
                continue  # another process has committed one of them meanwhile: this time it is found

    def _store(
        self, batch: Sequence[_HandedIn], known: Mapping[EmailId, StoredEmail], now: datetime, session: Session
    ) -> list[_Stored]:
        """`known`: those that are stored."""
        known = dict(known)  # this may run again
        fates: list[_Stored] = []
        fresh: list[_HandedIn] = []
        for one in batch:
            stored = known.get(one.new.id)
            if not one.new.digest or stored is None or not stored.digest:
                told = emails.recipients_told(one.new)
                fates.append(_Stored(_InsertResult.NEW, told))
                fresh.append(one)
                known[one.new.id] = StoredEmail(one.new.digest, told)
            else:
                fates.append(_repeated(stored, one.new.digest))
        place(self._db, [(one.new, one.body) for one in fresh], lanes=self._lanes, now=now, session=session)
        return fates


def _looked_up(draft: EmailDraft) -> bool:
    return bool(draft.template or draft.attachments) or len(draft.text) + len(draft.html) > _LARGE


def suppressing_some(new: NewEmail, found: Mapping[str, str]) -> NewEmail:
    """The mail with those of its recipients marked that are among the suppressed addresses in `found`."""
    keys = [fold(to.mailbox.address) for to in new.recipients]
    return replace(new, suppressed={key: found[key] for key in keys if key in found})


def taken_before(db: Db, email_id: EmailId, *, new: bool = False) -> AcceptedMail:
    """The answer with which this stored mail was accepted."""
    return AcceptedMail(email_id, new, emails.known(db, [email_id])[email_id].recipients)


def _repeated(known: StoredEmail, digest: str) -> _Stored:
    return (
        _Stored(_InsertResult.REPEATED, known.recipients) if known.digest == digest else _Stored(_InsertResult.MISMATCH)
    )


def _answer(id_: EmailId, stored: _Stored) -> AcceptedMail | Exception:
    if stored.fate is _InsertResult.MISMATCH:
        return IdempotencyMismatch("this Idempotency-Key was used with another body")
    return AcceptedMail(id_, stored.fate is _InsertResult.NEW, stored.recipients)
