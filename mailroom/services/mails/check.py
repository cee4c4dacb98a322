"""Check single mails as they are handed in: with their templates, their topics, and the rules of processes that run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.emails.model import OnDoubt
from mailroom.domain.emails.template_budget import TemplateBudget
from mailroom.domain.emails.topics import Leaving
from mailroom.domain.errors import Fault, InvalidInput, SendersTooOld, Unavailable
from mailroom.domain.errors_as_answers import as_answer
from mailroom.domain.ids import EmailId, keyed_email_id, new_email_id, run_of_email, short_digest
from mailroom.domain.sender_rules import SenderRule
from mailroom.domain.templates import Template
from mailroom.domain.topics import Topic
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks
from mailroom.services.common import mailgun_only, sender_rules
from mailroom.services.common.clock import Clocks
from mailroom.services.common.idempotency import check_key, digest_of_request
from mailroom.storage import topics
from mailroom.storage.database import Db
from mailroom.storage.mails import templates
from mailroom.storage.mails.emails import NewEmail
from mailroom.watching import traces

KeyedDraft = tuple[EmailDraft, str | None]  # with its Idempotency-Key

_RULES: Final[Mapping[SenderRule, Callable[[EmailDraft], bool]]] = {
    SenderRule.ELSEWHERE: lambda draft: draft.on_doubt == OnDoubt.ELSEWHERE,
    SenderRule.TOPICS: lambda draft: bool(draft.topic),
}


def is_under_a_rule(draft: EmailDraft) -> bool:
    """True if the mail is refused while a sender runs that does not know its rule."""
    return any(is_under(draft) for is_under in _RULES.values())


def digest_of(draft: EmailDraft) -> str:
    return short_digest("test", draft.test_of) if draft.test_of else digest_of_request(draft)


class MailChecks:
    """Checks mails; stores nothing."""

    def __init__(self, db: Db, clocks: Clocks, *, providers: Sequence[str], links: UnsubscribeLinks | None) -> None:
        self._db, self._clocks, self._providers, self._links = db, clocks, providers, links

    def check_many(self, drafts: Mapping[int, KeyedDraft], *, owner: str) -> dict[int, NewEmail | Exception]:
        """For each draft the mail in the form to store, or its refusal. Raises Unavailable if none can be checked."""
        loaded = self._templates(draft for draft, _ in drafts.values())
        topics_ = self._topics(draft for draft, _ in drafts.values())
        results: dict[int, NewEmail | Exception] = {**self._refused_by_old_senders(drafts)}
        budget = TemplateBudget()
        for index, (draft, key) in drafts.items():
            if index in results:
                continue
            template, topic = loaded.get(draft.template), topics_.get(draft.topic)
            try:
                budget.spend(draft, template)
                results[index] = self._checked((draft, key), template, topic, owner=owner, budget=budget)
            except (InvalidInput, Unavailable) as error:
                results[index] = as_answer(error)
        return results

    def faults_of(self, draft: EmailDraft, budget: TemplateBudget) -> tuple[Fault, ...]:
        """All faults of a mail that will not be stored; empty without a fault. Raises Unavailable."""
        template = self._templates([draft]).get(draft.template)
        try:
            budget.spend(draft, template)
            leaving = self._leaving(self._topics([draft]).get(draft.topic), new_email_id(self._clocks.read().now))
            now = self._clocks.read().now
            check_email(draft, now=now, template=template, leaving=leaving, steps=budget.steps)
        except InvalidInput as error:
            return error.faults
        return ()

    def _checked(
        self, keyed: KeyedDraft, template: Template | None, topic: Topic | None, *, owner: str, budget: TemplateBudget
    ) -> NewEmail:
        draft, key = keyed
        check_key(key)
        now = self._clocks.read().now
        email_id = keyed_email_id(owner, key) if key else new_email_id(now)
        leaving = self._leaving(topic, email_id)
        email = check_email(draft, now=now, template=template, leaving=leaving, steps=budget.steps)
        texts = {"subject": email.subject, "text": email.body.text, "html": email.body.html}
        texts |= {f"headers.{name}": value for name, value in email.body.headers.items()}
        mailgun_only.check(self._db, self._providers, texts)
        return NewEmail(email_id, owner, digest_of(draft) if key else "", email, trace=traces.current())

    def _refused_by_old_senders(self, drafts: Mapping[int, KeyedDraft]) -> dict[int, Exception]:
        """The refusals of mails under a rule, while a sender that does not know the rule may run."""
        refusals: dict[int, Exception] = {}
        for rule, is_under in _RULES.items():
            under = [index for index, (draft, _) in drafts.items() if is_under(draft)]
            if not under:
                continue
            try:
                sender_rules.require(self._db, rule)
            except (SendersTooOld, Unavailable) as error:
                refusals |= dict.fromkeys(under, error)
        return refusals

    def _templates(self, drafts: Iterable[EmailDraft]) -> Mapping[str, Template]:
        names = sorted({draft.template for draft in drafts if draft.template})
        return templates.get_many(self._db, names) if names else {}

    def _topics(self, drafts: Iterable[EmailDraft]) -> Mapping[str, Topic]:
        ids = sorted({draft.topic for draft in drafts if draft.topic})
        return topics.get_many(self._db, ids) if ids else {}

    def _leaving(self, topic: Topic | None, email_id: EmailId) -> Leaving | None:
        links = self._links
        if topic is None or links is None:
            return None
        run = run_of_email(email_id)
        return Leaving(topic, lambda address: links.url(Membership(address, topic.id, run)), links.mailto)
