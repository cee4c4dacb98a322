"""Accept single mails from many threads, and store many in a transaction."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mailroom.domain.addresses import fold
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.emails.model import OnDoubt
from mailroom.domain.emails.template_budget import TemplateBudget
from mailroom.domain.emails.topics import Leaving
from mailroom.domain.errors import (
    BodiesAway,
    Fault,
    IdempotencyMismatch,
    InvalidInput,
    SendersTooOld,
    Unavailable,
)
from mailroom.domain.ids import (
    EmailId,
    keyed_email_id,
    new_email_id,
    run_of_email,
    short_digest,
)
from mailroom.domain.messages.states import MessageState
from mailroom.domain.sender_rules import SenderRule
from mailroom.domain.templates import Template
from mailroom.domain.topics import Topic, scopes_of_mail
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks
from mailroom.services.common import mailgun_only, sender_rules
from mailroom.services.common.clock import Clocks
from mailroom.services.common.group_commit import GroupCommit
from mailroom.services.common.idempotency import check_key, conflict, digest_of_request
from mailroom.services.mails.store import store_mails
from mailroom.storage import suppressions, topics
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.database import AlreadyThere, Db, Document, Session, in_transaction
from mailroom.storage.mails import bodies, emails, templates
from mailroom.storage.mails.emails import KnownEmail, NewEmail
from mailroom.watching import traces
from mailroom.watching.accepting import accepted

_BATCH: Final = 200
_LARGE: Final = 64 * 1024  # characters
_FILES_S: Final = 30.0  # about: for the large bodies of a request, so that the caller still waits for the answer


@dataclass(frozen=True, slots=True)
class _HandedIn:
    new: NewEmail
    body: Document


@dataclass(frozen=True, slots=True)
class _Stored:
    """The result for a mail that was handed in. `conflict`: its key was used with another mail. `recipients`: empty
    unless at least one is suppressed."""

    new: bool
    recipients: Sequence[tuple[str, str | None]] = ()
    conflict: IdempotencyMismatch | None = None


@dataclass(frozen=True, slots=True)
class AcceptedMail:
    """A stored mail: it will be sent, or its state will show the reason. `new` is False for a repeated request.
    `recipients`: empty unless at least one is suppressed; then every address, with the reason or None."""

    id: EmailId
    new: bool
    recipients: Sequence[tuple[str, str | None]] = ()

    @property
    def status(self) -> MessageState:
        """`suppressed` if every recipient is, else `queued`."""
        nobody = self.recipients and all(reason is not None for _, reason in self.recipients)
        return MessageState.SUPPRESSED if nobody else MessageState.QUEUED


class Outbox:
    """Accepts single mails from many threads. Construct it after a fork: it has a thread."""

    def __init__(
        self,
        db: Db,
        *,
        lanes: int,
        providers: Sequence[str] = (),
        files: BodyFiles | None = None,
        links: UnsubscribeLinks | None = None,
    ) -> None:
        """`files`: None means GridFS. `links`: for mail of a topic, which is refused without them."""
        self._db, self._lanes, self._providers, self._links = db, lanes, providers, links
        self._files = files or BodyFiles(db)
        self._clocks = Clocks(db)
        self._group = GroupCommit[_HandedIn, _Stored](self._commit, most=_BATCH, name="outbox")

    def hand_in(self, draft: EmailDraft, *, owner: str, key: str | None = None) -> AcceptedMail:
        """Store a mail, whole or not at all: it is on a majority's disks when this returns. With an Idempotency-Key a
        repeated request returns the same mail.

        Raises InvalidInput, IdempotencyMismatch, SendersTooOld. Raises Unavailable: the mail may be stored or not, and
        may be handed in again with the same key.
        """
        (answer,) = self.hand_in_many([(draft, key)], owner=owner)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hand_in_many(
        self, drafts: Sequence[tuple[EmailDraft, str | None]], *, owner: str
    ) -> list[AcceptedMail | Exception]:
        """Store several mails, each with its key or None. The refusal of a mail does not concern the others.

        Returns for each the result or the error of `hand_in`.
        """
        try:
            answers = self._handed_in_before(drafts, owner)
            fresh = [draft for index, (draft, _) in enumerate(drafts) if index not in answers]
            loaded, topics_ = self._templates(fresh), self._topics(fresh)
        except Unavailable as error:
            return [error for _ in drafts]
        answers |= self._refused_by_old_senders(
            {index: draft for index, (draft, _) in enumerate(drafts) if index not in answers}
        )
        checked: dict[int, NewEmail] = {}
        budget = TemplateBudget()
        for index, (draft, key) in enumerate(drafts):
            if index in answers:
                continue
            try:
                template, topic = loaded.get(draft.template), topics_.get(draft.topic)
                budget.spend(draft, template)
                checked[index] = self._checked(draft, template, topic, owner, key, budget)
            except (InvalidInput, Unavailable) as error:
                answers[index] = error
        answers |= dict(zip(checked, self._hand_in_fresh(list(checked.values())), strict=True))
        return [answers[index] for index in range(len(drafts))]

    def faults_of(self, draft: EmailDraft, budget: TemplateBudget | None = None) -> tuple[Fault, ...]:
        """All faults of a mail that will not be stored; empty without a fault. Raises Unavailable."""
        template, budget = self._templates([draft]).get(draft.template), budget or TemplateBudget()
        try:
            budget.spend(draft, template)
            leaving = self._leaving(self._topics([draft]).get(draft.topic), new_email_id(self._clocks.read().now))
            now = self._clocks.read().now
            check_email(draft, now=now, template=template, leaving=leaving, steps=budget.steps)
        except InvalidInput as error:
            return error.faults
        return ()

    def _templates(self, drafts: Sequence[EmailDraft]) -> Mapping[str, Template]:
        names = sorted({draft.template for draft in drafts if draft.template})
        return templates.get_many(self._db, names) if names else {}

    def _topics(self, drafts: Sequence[EmailDraft]) -> Mapping[str, Topic]:
        ids = sorted({draft.topic for draft in drafts if draft.topic})
        return topics.get_many(self._db, ids) if ids else {}

    def _leaving(self, topic: Topic | None, email_id: EmailId) -> Leaving | None:
        links = self._links
        if topic is None or links is None:
            return None
        run = run_of_email(email_id)
        return Leaving(topic, lambda address: links.url(Membership(address, topic.id, run)), links.mailto)

    def _checked(
        self,
        draft: EmailDraft,
        template: Template | None,
        topic: Topic | None,
        owner: str,
        key: str | None,
        budget: TemplateBudget,
    ) -> NewEmail:
        check_key(key)
        now = self._clocks.read().now
        email_id = keyed_email_id(owner, key) if key else new_email_id(now)
        leaving = self._leaving(topic, email_id)
        email = check_email(draft, now=now, template=template, leaving=leaving, steps=budget.steps)
        texts = {"subject": email.subject, "text": email.body.text, "html": email.body.html}
        texts |= {f"headers.{name}": value for name, value in email.body.headers.items()}
        mailgun_only.check(self._db, self._providers, texts)
        digest = _digest(draft) if key else ""
        return NewEmail(email_id, owner, digest, email, trace=traces.current())

    def _handed_in_before(
        self, drafts: Sequence[tuple[EmailDraft, str | None]], owner: str
    ) -> dict[int, AcceptedMail | Exception]:
        """Answers to repeated requests with a template, which may have changed since, with a large body, which costs
        much to check, or with a rule that may be refused in between. All others are found by the insertion."""
        keyed = {index: keyed_email_id(owner, key) for index, (d, key) in enumerate(drafts) if key and _looked_up(d)}
        if not keyed:
            return {}
        stored = emails.known(self._db, list(keyed.values()))
        return {
            index: _answer(id_, _repeated(stored[id_], _digest(drafts[index][0])))
            for index, id_ in keyed.items()
            if id_ in stored
        }

    def _refused_by_old_senders(self, fresh: Mapping[int, EmailDraft]) -> dict[int, AcceptedMail | Exception]:
        """The refusals of mails under a rule, while a sender that does not know the rule may run."""
        refusals: dict[int, AcceptedMail | Exception] = {}
        for rule, is_under in _RULES.items():
            under = [index for index, draft in fresh.items() if is_under(draft)]
            if not under:
                continue
            try:
                sender_rules.require(self._db, rule)
            except (SendersTooOld, Unavailable) as error:
                refusals |= dict.fromkeys(under, error)
        return refusals

    def _hand_in_fresh(self, fresh: Sequence[NewEmail]) -> list[AcceptedMail | Exception]:
        until = time.monotonic() + _FILES_S
        handed_in = [self._put_aside(new, until) for new in fresh]
        results = iter(self._group.submit_many([mail for mail in handed_in if isinstance(mail, _HandedIn)]))
        return [self._answer(mail, next(results)) if isinstance(mail, _HandedIn) else mail for mail in handed_in]

    def _put_aside(self, new: NewEmail, until: float) -> _HandedIn | BodiesAway:
        """The mail with its body; the error if S3, where that would lie, is away or slow: mails without a large body go
        on."""
        try:
            return _HandedIn(new, bodies.put_aside(self._files, new.id, new.email.body, until=until))
        except BodiesAway as error:
            return error

    def _answer(self, mail: _HandedIn, result: _Stored | Exception) -> AcceptedMail | Exception:
        if isinstance(result, Exception):
            return result
        if result.new:
            accepted(mail.new.email.priority)
        else:
            # A concurrent request with the same key was faster: no mail names the files of this one.
            bodies.throw_away(self._files, mail.body)
        return _answer(mail.new.id, result)

    def _commit(self, batch: Sequence[_HandedIn]) -> list[_Stored]:
        """Store a batch. Most mails are new, so they are inserted without a query; if an id is taken, all ids are
        queried."""
        began = time.monotonic()
        answers = self._commit_now(batch)
        for mail in batch:
            traces.step(mail.new.trace, "commit", {"mails": len(batch)}, seconds=time.monotonic() - began)
        return answers

    def _commit_now(self, batch: Sequence[_HandedIn]) -> list[_Stored]:
        batch, now = self._without_suppressed(batch), self._clocks.read().now
        try:
            return in_transaction(self._db, lambda session: self._store(batch, {}, now, session))
        except AlreadyThere:
            return self._commit_with_lookup(batch, now)

    def _without_suppressed(self, batch: Sequence[_HandedIn]) -> list[_HandedIn]:
        """The batch with its suppressed recipients marked, by a single query; suppressions are queried again before the
        call."""
        keys = {fold(to.mailbox.address) for mail in batch for to in mail.new.recipients}
        entries = suppressions.entries_among(self._db, list(keys))
        if not entries:
            return list(batch)
        topics_ = {mail.new.email.topic for mail in batch}
        reasons = {topic: suppressions.reasons(entries, scopes_of_mail(topic)) for topic in topics_}
        return [replace(mail, new=with_suppressed(mail.new, reasons[mail.new.email.topic])) for mail in batch]

    def _commit_with_lookup(self, batch: Sequence[_HandedIn], now: datetime) -> list[_Stored]:
        keyed = [mail.new.id for mail in batch if mail.new.digest]

        def look_and_store(session: Session) -> list[_Stored]:
            return self._store(batch, emails.known(self._db, keyed, session=session), now, session)

        while True:
            try:
                return in_transaction(self._db, look_and_store)
            except AlreadyThere:
                continue  # another process has committed one of these mails: the next try finds it

    def _store(
        self, batch: Sequence[_HandedIn], stored: Mapping[EmailId, KnownEmail], now: datetime, session: Session
    ) -> list[_Stored]:
        """Store the new mails of a batch. `stored`: mails of the batch that are stored already."""
        stored = dict(stored)  # a copy, because the transaction may be retried
        results: list[_Stored] = []
        fresh: list[_HandedIn] = []
        for mail in batch:
            earlier = stored.get(mail.new.id)
            if not mail.new.digest or earlier is None or not earlier.digest:
                recipients = emails.recipients_told(mail.new)
                results.append(_Stored(True, recipients))
                fresh.append(mail)
                stored[mail.new.id] = KnownEmail(mail.new.digest, recipients)
            else:
                results.append(_repeated(earlier, mail.new.digest))
        store_mails(self._db, [(mail.new, mail.body) for mail in fresh], lanes=self._lanes, now=now, session=session)
        return results


def _digest(draft: EmailDraft) -> str:
    return short_digest("test", draft.test_of) if draft.test_of else digest_of_request(draft)


def _looked_up(draft: EmailDraft) -> bool:
    length = len(draft.text or "") + len(draft.html) + len(draft.markdown) + len(draft.mjml)
    costly = bool(draft.attachments) or length > _LARGE
    return bool(draft.template or draft.topic) or costly or _may_go_elsewhere(draft)


def _may_go_elsewhere(draft: EmailDraft) -> bool:
    return draft.on_doubt == OnDoubt.ELSEWHERE


_RULES: Final[Mapping[SenderRule, Callable[[EmailDraft], bool]]] = {
    SenderRule.ELSEWHERE: _may_go_elsewhere,
    SenderRule.TOPICS: lambda draft: bool(draft.topic),
}


def with_suppressed(new: NewEmail, reasons: Mapping[str, str]) -> NewEmail:
    """The mail with its suppressed recipients marked. `reasons`: by suppressed folded address."""
    keys = [fold(to.mailbox.address) for to in new.recipients]
    return replace(new, suppressed={key: reasons[key] for key in keys if key in reasons})


def taken_before(db: Db, email_id: EmailId, *, new: bool = False) -> AcceptedMail:
    """The answer to the request that this stored mail was accepted with."""
    return AcceptedMail(email_id, new, emails.known(db, [email_id])[email_id].recipients)


def _repeated(earlier: KnownEmail, digest: str) -> _Stored:
    return _Stored(False, earlier.recipients, conflict(earlier.digest, digest))


def _answer(id_: EmailId, stored: _Stored) -> AcceptedMail | Exception:
    return stored.conflict or AcceptedMail(id_, stored.new, stored.recipients)
