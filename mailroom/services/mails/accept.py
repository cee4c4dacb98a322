"""Accept single mails from many threads, and store many in a transaction."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.template_budget import TemplateBudget
from mailroom.domain.errors import BodiesAway, Fault, Unavailable
from mailroom.domain.errors_as_answers import as_answer
from mailroom.domain.ids import EmailId, keyed_email_id
from mailroom.domain.messages.states import MessageState
from mailroom.domain.unsubscribe_links import UnsubscribeLinks
from mailroom.services.common.clock import Clocks
from mailroom.services.common.group_commit import GroupCommit
from mailroom.services.mails.check import KeyedDraft, MailChecks, digest_of, is_under_a_rule
from mailroom.services.mails.commit import HandedIn, MailCommits, StoredMail, repeated
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.database import Db
from mailroom.storage.mails import bodies, emails
from mailroom.storage.mails.emails import NewEmail
from mailroom.watching.accepting import accepted

_BATCH: Final = 200
_LARGE: Final = 64 * 1024  # characters
_FILES_S: Final = 30.0  # about: for the large bodies of a request, so that the caller still waits for the answer


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
        self._db, self._files = db, files or BodyFiles(db)
        clocks = Clocks(db)
        self._checks = MailChecks(db, clocks, providers=providers, links=links)
        commits = MailCommits(db, clocks, lanes=lanes)
        self._group = GroupCommit[HandedIn, StoredMail](commits.commit, most=_BATCH, name="outbox")

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

    def hand_in_many(self, drafts: Sequence[KeyedDraft], *, owner: str) -> list[AcceptedMail | Exception]:
        """Store several mails, each with its key or None. The refusal of a mail does not concern the others.

        Returns for each the result or the error of `hand_in`.
        """
        try:
            answers = self._handed_in_before(drafts, owner)
            fresh = {index: draft for index, draft in enumerate(drafts) if index not in answers}
            checked = self._checks.check_many(fresh, owner=owner)
        except Unavailable as error:
            return [error for _ in drafts]
        answers |= {index: refused for index, refused in checked.items() if isinstance(refused, Exception)}
        mails = {index: mail for index, mail in checked.items() if isinstance(mail, NewEmail)}
        answers |= dict(zip(mails, self._hand_in_fresh(list(mails.values())), strict=True))
        return [answers[index] for index in range(len(drafts))]

    def faults_of(self, draft: EmailDraft, budget: TemplateBudget | None = None) -> tuple[Fault, ...]:
        """All faults of a mail that will not be stored; empty without a fault. Raises Unavailable."""
        return self._checks.faults_of(draft, budget or TemplateBudget())

    def _handed_in_before(self, drafts: Sequence[KeyedDraft], owner: str) -> dict[int, AcceptedMail | Exception]:
        """Answers to repeated requests with a template, which may have changed since, with a large body, which costs
        much to check, or with a rule that may be refused in between. All others are found by the insertion."""
        keyed = {index: keyed_email_id(owner, key) for index, (d, key) in enumerate(drafts) if key and _looked_up(d)}
        if not keyed:
            return {}
        stored = emails.known(self._db, list(keyed.values()))
        return {
            index: _answer(id_, repeated(stored[id_], digest_of(drafts[index][0])))
            for index, id_ in keyed.items()
            if id_ in stored
        }

    def _hand_in_fresh(self, fresh: Sequence[NewEmail]) -> list[AcceptedMail | Exception]:
        until = time.monotonic() + _FILES_S
        handed_in = [self._put_aside(new, until) for new in fresh]
        results = iter(self._group.submit_many([mail for mail in handed_in if isinstance(mail, HandedIn)]))
        return [self._answer(mail, next(results)) if isinstance(mail, HandedIn) else mail for mail in handed_in]

    def _put_aside(self, new: NewEmail, until: float) -> HandedIn | BodiesAway:
        """The mail with its body; the error if S3, where that would lie, is away or slow: mails without a large body go
        on."""
        try:
            return HandedIn(new, bodies.put_aside(self._files, new.id, new.email.body, until=until))
        except BodiesAway as error:
            return as_answer(error)

    def _answer(self, mail: HandedIn, result: StoredMail | Exception) -> AcceptedMail | Exception:
        if isinstance(result, Exception):
            return result
        if result.new:
            accepted(mail.new.email.priority)
        else:
            # A concurrent request with the same key was faster: no mail names the files of this one.
            bodies.throw_away(self._files, mail.body)
        return _answer(mail.new.id, result)


def taken_before(db: Db, email_id: EmailId, *, new: bool = False) -> AcceptedMail:
    """The answer to the request that this stored mail was accepted with."""
    return AcceptedMail(email_id, new, emails.known(db, [email_id])[email_id].recipients)


def _looked_up(draft: EmailDraft) -> bool:
    length = len(draft.text or "") + len(draft.html) + len(draft.markdown) + len(draft.mjml)
    costly = bool(draft.attachments) or length > _LARGE
    return bool(draft.template) or costly or is_under_a_rule(draft)


def _answer(id_: EmailId, stored: StoredMail) -> AcceptedMail | Exception:
    return stored.conflict or AcceptedMail(id_, stored.new, stored.recipients)
