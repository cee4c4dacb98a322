"""Build the requests of claimed dispatches, with one query for all of them, or two if content is new."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final, NamedTuple

import structlog

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import CallResult, Refusal, Refused
from mailroom.domain.emails.model import Body, Email, StoredEmail
from mailroom.domain.errors import BodiesAway
from mailroom.domain.ids import DispatchId, EmailId, RunId, ScheduleId
from mailroom.domain.list_headers import beside
from mailroom.domain.mailgun_substitutions import in_content, of_mailgun
from mailroom.domain.messages.model import Message
from mailroom.domain.run_values import NO_RUN_VALUES, RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.template_filling import LINK_KEY, MAILTO_KEY
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks
from mailroom.providers.base import Adapter, Batch, Letter, SendInParts
from mailroom.services.common.run_values import ValuesOfRuns
from mailroom.services.dispatching.attached_files import FilesOfCampaigns
from mailroom.services.dispatching.exclusions import leave_out
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.database import Db
from mailroom.storage.mails import bodies, emails
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import contents

_Written = tuple[ScheduleId, int]  # a revision of a schedule's content never changes
log = structlog.get_logger()
MAILGUN: Final = "mailgun"
_MOST_BYTES: Final = 32 * 1024 * 1024


class Prepared(NamedTuple):
    """`ready`: requests by dispatch. `refused`: dispatches that the provider cannot carry. `over`: dispatches without a
    recipient left. `domains`: mails by rate-limited domain."""

    ready: dict[Claimed, object]
    refused: list[CallResult]
    over: list[Claimed]
    domains: dict[Claimed, Counter[str]]


class Preparing:
    """Builds requests, each for the provider of its dispatch's claim. Caches the contents used last, up to a bounded
    size. For one thread."""

    def __init__(
        self,
        db: Db,
        adapters: Mapping[str, Adapter],
        files: BodyFiles | None = None,
        *,
        links: UnsubscribeLinks | None = None,
        files_within_s: float = 5.0,
    ) -> None:
        """`files`: None means GridFS. `links`: for mail of a topic, which is refused without them. `files_within_s`:
        how long each use waits for the files; a mail whose files do not come in this time is refused as one that was
        not called."""
        self._db, self._adapters, self._files = db, adapters, files or BodyFiles(db)
        self._links, self._files_within_s = links, files_within_s
        self._cache: OrderedDict[_Written, Content] = OrderedDict()
        self._cached_bytes = 0
        self._run_values = ValuesOfRuns(db)
        self._campaign_files = FilesOfCampaigns(db)

    def forget(self) -> None:
        """Read all anew: MongoDB was restored, and what is written since may have the names of what it has lost."""
        self._cache.clear()
        self._cached_bytes = 0
        self._run_values = ValuesOfRuns(self._db)

    def build(
        self,
        claimed: Sequence[Claimed],
        *,
        most: Callable[[str], int | None] = lambda _: None,
        watched: Set[str] = frozenset(),
    ) -> Prepared:
        """Build the requests, without recipients suppressed since planning and recipients that have the mail already.

        `most(provider)`: the most mails of a campaign in one call; None without a limit. `watched`: domains whose mails
        are counted. Raises StaleToken, Unavailable.
        """
        mails = messages.of_dispatches(self._db, [dispatch.id for dispatch in claimed])
        written = self._contents([(c.schedule_id, c.revision) for c in claimed if c.schedule_id])
        values = self._run_values.of({c.run_id: written[c.schedule_id, c.revision] for c in claimed if c.schedule_id})
        self._campaign_files.load(written.values())
        letters = self._letters([c for c in claimed if not c.schedule_id])
        topics = {c.id: written[c.schedule_id, c.revision].topic for c in claimed if c.schedule_id}
        topics |= {id_: email.topic for id_, email in letters.items() if isinstance(email, Email) and email.topic}
        claimed, over = leave_out(self._db, claimed, mails, topics)
        ready: dict[Claimed, object] = {}
        refused: list[CallResult] = []
        for dispatch in claimed:
            built = self._build(dispatch, mails[dispatch.id], written, letters, values, most(dispatch.provider))
            if isinstance(built, Refused):
                refused.append(CallResult(dispatch, built))
            else:
                ready[dispatch] = built
        domains = {dispatch: _domains(mails[dispatch.id], watched) for dispatch in ready} if watched else {}
        return Prepared(ready, refused, over, domains)

    def _build(
        self,
        dispatch: Claimed,
        mails: Sequence[Message],
        written: Mapping[_Written, Content],
        letters: dict[DispatchId, Email | Exception],
        values: Mapping[RunId, RunValues],
        most: int | None,
    ) -> object:
        """A request, or a refusal. A dispatch that cannot be built delays no other, and is not retried for ever.

        A letter leaves `letters`: the files of a mail are in memory twice only until its request is written out.
        """
        adapter = self._adapters[dispatch.provider]
        try:
            if dispatch.schedule_id is None:
                return _letter_request(adapter, dispatch, letters.pop(dispatch.id, None), mails)
            bound = min(adapter.max_recipients, most or adapter.max_recipients)
            if dispatch.messages > bound:
                raise SendInParts(bound)
            content = written[dispatch.schedule_id, dispatch.revision]
            _require_no_substitutions(adapter, content, mails)
            return adapter.build(self._batch(dispatch, content, mails, values.get(dispatch.run_id, NO_RUN_VALUES)))
        except SendInParts as error:
            return Refused(Refusal.TOO_MANY, f"{adapter.name}: {error}", at_most=error.at_most)
        except ValueError as error:
            return Refused(Refusal.PERMANENT, f"{adapter.name} cannot send this: {error}")
        except Exception as error:
            log.exception("request_not_built", dispatch_id=dispatch.id, provider=adapter.name)
            return Refused(Refusal.PERMANENT, f"it could not be made ready: {type(error).__name__}")

    def _batch(self, dispatch: Claimed, content: Content, mails: Sequence[Message], values: RunValues) -> Batch:
        """Raises ValueError for mail of a topic, if there are no links, and for a file that is not stored."""
        if content.topic:
            if self._links is None:
                raise ValueError("links to unsubscribe cannot be made here")
            mails = [_with_link(mail, content.topic, self._links) for mail in mails]
        files = self._campaign_files.of(content)
        return Batch(dispatch.id, dispatch.attempt, dispatch.run_id, content, mails, dispatch.claimed_at, values, files)

    def _letters(self, claimed: Sequence[Claimed]) -> dict[DispatchId, Email | Exception]:
        """The single mails whose bodies are still stored; for a mail that cannot be read, its error."""
        if not claimed:
            return {}
        ids = [EmailId(dispatch.run_id) for dispatch in claimed]
        envelopes = emails.get_each(self._db, ids)
        texts = bodies.get_many(self._db, self._files, ids, within_s=self._files_within_s)
        return {
            dispatch.id: _letter_or_error(envelope, text)
            for id_, dispatch in zip(ids, claimed, strict=True)
            if (text := texts.get(id_)) and (envelope := envelopes.get(id_))
        }

    def _contents(self, wanted: Sequence[_Written]) -> dict[_Written, Content]:
        distinct = dict.fromkeys(wanted)
        new = [written for written in distinct if written not in self._cache]
        loaded = contents.get_many(self._db, new) if new else {}
        for written, content in loaded.items():
            self._cache[written] = content
            self._cached_bytes += _size(content)
        needed = {written: self._cache[written] for written in distinct}
        for written in distinct:
            self._cache.move_to_end(written)
        while self._cached_bytes > _MOST_BYTES and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= _size(dropped)
        return needed


def _letter_request(
    adapter: Adapter, dispatch: Claimed, email: Email | Exception | None, mails: Sequence[Message]
) -> object:
    """A request, or a refusal. Raises ValueError, and the error in the mail's place."""
    if email is None:
        return Refused(Refusal.PERMANENT, "its content is no longer kept")
    if isinstance(email, BodiesAway):
        return Refused(Refusal.NOT_CALLED, str(email))
    if isinstance(email, Exception):
        raise email
    _only_of_mailgun(adapter, of_mailgun(_texts(email)))
    return adapter.build_letter(_letter(dispatch, email, mails))


def _require_no_substitutions(adapter: Adapter, content: Content, mails: Sequence[Message]) -> None:
    """Raises ValueError for a campaign with a substitution that only Mailgun makes."""
    if adapter.name == MAILGUN:
        return
    own = in_content(content.subject, content.text, content.html) or of_mailgun(dict(content.headers).values())
    _only_of_mailgun(adapter, own or of_mailgun(part for mail in mails for part in mail.parts.values()))


def _only_of_mailgun(adapter: Adapter, own: str | None) -> None:
    """Raises ValueError if another provider would send a substitution of Mailgun's. The mail was accepted while only
    Mailgun was enabled, or before content was checked for this."""
    if own and adapter.name != MAILGUN:
        raise ValueError(f"{own} is filled in by Mailgun alone, and would be sent as it is written")


def _letter_or_error(envelope: StoredEmail | Exception, text: Body | BodiesAway) -> Email | Exception:
    if isinstance(envelope, Exception):
        return envelope
    return text if isinstance(text, BodiesAway) else envelope.with_body(text)


def _texts(email: Email) -> list[str]:
    """Every text of a mail in which Mailgun would replace substitutions."""
    return [email.subject, email.body.text, email.body.html, *email.body.headers.values()]


def _letter(dispatch: Claimed, email: Email, mails: Sequence[Message]) -> Letter:
    return Letter(
        dispatch=dispatch.id,
        attempt=dispatch.attempt,
        run=dispatch.run_id,
        email=email,
        recipients=[mail.address for mail in mails],
        date=dispatch.claimed_at,
    )


def _with_link(mail: Message, topic: str, links: UnsubscribeLinks) -> Message:
    url = links.url(Membership(mail.address, topic, mail.run_id))
    also = {MAILTO_KEY: beside(links.mailto(url))} if links.by_mail else {}
    return mail.with_parts({LINK_KEY: url, **also})


def _domains(mails: Sequence[Message], watched: Set[str]) -> Counter[str]:
    counts = Counter(mail.address.rpartition("@")[2].lower() for mail in mails)
    return Counter({domain: count for domain, count in counts.items() if domain in watched})


def _size(content: Content) -> int:
    return len(content.text) + len(content.html) + (content.written.size if content.written else 0)
