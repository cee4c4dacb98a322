"""Store checked mails in a transaction, those of many threads together."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from mailroom.domain.addresses import fold
from mailroom.domain.errors import IdempotencyMismatch
from mailroom.domain.ids import EmailId
from mailroom.domain.topics import scopes_of_mail
from mailroom.services.common.clock import Clocks
from mailroom.services.common.idempotency import conflict
from mailroom.services.mails.store import store_mails
from mailroom.storage import suppressions
from mailroom.storage.database import AlreadyThere, Db, Document, Session, in_transaction
from mailroom.storage.mails import emails
from mailroom.storage.mails.emails import KnownEmail, NewEmail
from mailroom.watching import traces


class HandedIn(Struct, frozen=True):
    """A checked mail, and its body from `bodies.put_aside`."""

    new: NewEmail
    body: Document


class StoredMail(Struct, frozen=True):
    """The result for a mail that was handed in. `conflict`: its key was used with another mail. `recipients`: empty
    unless at least one is suppressed."""

    new: bool
    recipients: Sequence[tuple[str, str | None]] = ()
    conflict: IdempotencyMismatch | None = None


def repeated(earlier: KnownEmail, digest: str) -> StoredMail:
    """The result for a mail whose key was used before."""
    return StoredMail(False, earlier.recipients, conflict(earlier.digest, digest))


class MailCommits:
    """Stores batches of mails."""

    def __init__(self, db: Db, clocks: Clocks, *, lanes: int) -> None:
        self._db, self._clocks, self._lanes = db, clocks, lanes

    def commit(self, batch: Sequence[HandedIn]) -> list[StoredMail]:
        """Store a batch. Most mails are new, so they are inserted without a query; if an id is taken, all ids are
        queried."""
        began = time.monotonic()
        results = self._commit_now(batch)
        for mail in batch:
            traces.step(mail.new.trace, "commit", {"mails": len(batch)}, seconds=time.monotonic() - began)
        return results

    def _commit_now(self, batch: Sequence[HandedIn]) -> list[StoredMail]:
        batch, now = self._without_suppressed(batch), self._clocks.read().now
        try:
            return in_transaction(self._db, lambda session: self._store(batch, {}, now, session))
        except AlreadyThere:
            return self._commit_with_lookup(batch, now)

    def _without_suppressed(self, batch: Sequence[HandedIn]) -> list[HandedIn]:
        """The batch with its suppressed recipients marked, by a single query; suppressions are queried again before the
        call."""
        keys = {fold(to.mailbox.address) for mail in batch for to in mail.new.recipients}
        entries = suppressions.entries_among(self._db, list(keys))
        if not entries:
            return list(batch)
        topics_ = {mail.new.email.topic for mail in batch}
        reasons = {topic: suppressions.reasons(entries, scopes_of_mail(topic)) for topic in topics_}
        return [replace(mail, new=_with_suppressed(mail.new, reasons[mail.new.email.topic])) for mail in batch]

    def _commit_with_lookup(self, batch: Sequence[HandedIn], now: datetime) -> list[StoredMail]:
        keyed = [mail.new.id for mail in batch if mail.new.digest]

        def look_and_store(session: Session) -> list[StoredMail]:
            return self._store(batch, emails.known(self._db, keyed, session=session), now, session)

        while True:
            try:
                return in_transaction(self._db, look_and_store)
            except AlreadyThere:
                continue  # another process has committed one of these mails: the next try finds it

    def _store(
        self, batch: Sequence[HandedIn], stored: Mapping[EmailId, KnownEmail], now: datetime, session: Session
    ) -> list[StoredMail]:
        """Store the new mails of a batch. `stored`: mails of the batch that are stored already."""
        stored = dict(stored)  # a copy, because the transaction may be retried
        results: list[StoredMail] = []
        fresh: list[HandedIn] = []
        for mail in batch:
            earlier = stored.get(mail.new.id)
            if not mail.new.digest or earlier is None or not earlier.digest:
                recipients = emails.recipients_told(mail.new)
                results.append(StoredMail(True, recipients))
                fresh.append(mail)
                stored[mail.new.id] = KnownEmail(mail.new.digest, recipients)
            else:
                results.append(repeated(earlier, mail.new.digest))
        store_mails(self._db, [(mail.new, mail.body) for mail in fresh], lanes=self._lanes, now=now, session=session)
        return results


def _with_suppressed(new: NewEmail, reasons: Mapping[str, str]) -> NewEmail:
    """The mail with its suppressed recipients marked. `reasons`: by suppressed folded address."""
    keys = [fold(to.mailbox.address) for to in new.recipients]
    return replace(new, suppressed={key: reasons[key] for key in keys if key in reasons})
