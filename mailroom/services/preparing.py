"""Claimed dispatches become ready requests, all of them in one question to the store, or two where content is new."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from mailroom.domain.dispatches import Claimed
from mailroom.domain.ids import DispatchId, EmailId, ScheduleId
from mailroom.domain.messages import Message
from mailroom.domain.outcomes import Refusal, Refused
from mailroom.domain.schedules import Content
from mailroom.providers.base import Adapter, Batch, Letter, Request
from mailroom.services.recording import Result
from mailroom.services.suppressing import leave_out_suppressed
from mailroom.storage import bodies, contents, emails, messages
from mailroom.storage.database import Db

_Written = tuple[ScheduleId, int]  # a revision of a schedule's content never changes
_MOST_BYTES: Final = 32 * 1024 * 1024


class Prepared(NamedTuple):
    """A request for each dispatch; refusals of what the provider cannot be asked to send; what has nobody left."""

    ready: dict[Claimed, Request]
    refused: list[Result]
    cancelled: list[Claimed]


class Preparing:
    """Builds requests; keeps the contents that were used last, up to a bounded size. For one thread."""

    def __init__(self, db: Db, adapter: Adapter) -> None:
        self._db, self._adapter = db, adapter
        self._kept: OrderedDict[_Written, Content] = OrderedDict()
        self._kept_bytes = 0

    def build(self, claimed: Sequence[Claimed]) -> Prepared:
        """Build the requests, without those whom to mail has been forbidden meanwhile.

        Raises StaleToken, Unavailable.
        """
        mails = messages.of_dispatches(self._db, [dispatch.id for dispatch in claimed])
        claimed, cancelled = leave_out_suppressed(self._db, claimed, mails)
        written = self._contents([(c.schedule_id, c.revision) for c in claimed if c.schedule_id])
        letters = self._letters([c for c in claimed if not c.schedule_id], mails)
        ready: dict[Claimed, Request] = {}
        refused: list[Result] = []
        for dispatch in claimed:
            try:
                if dispatch.schedule_id:
                    content = written[dispatch.schedule_id, dispatch.revision]
                    ready[dispatch] = self._adapter.build(_batch(dispatch, content, mails[dispatch.id]))
                elif letter := letters.get(dispatch):
                    ready[dispatch] = self._adapter.build_letter(letter)
                else:
                    refused.append(Result(dispatch, Refused(Refusal.PERMANENT, "what it says is not kept any more")))
            except ValueError as error:
                words = f"{self._adapter.name} cannot send this: {error}"
                refused.append(Result(dispatch, Refused(Refusal.PERMANENT, words)))
        return Prepared(ready, refused, cancelled)

    def _letters(
        self, claimed: Sequence[Claimed], mails: Mapping[DispatchId, Sequence[Message]]
    ) -> dict[Claimed, Letter]:
        """Single mails, as far as what they say is still kept."""
        if not claimed:
            return {}
        ids = [EmailId(dispatch.run_id) for dispatch in claimed]
        envelopes, said = emails.get_many(self._db, ids), bodies.get_many(self._db, ids)
        return {
            dispatch: Letter(
                dispatch=dispatch.id,
                attempt=dispatch.attempt,
                run=dispatch.run_id,
                email=emails.as_email(envelopes[id_], said[id_]),
                recipients=[mail.address for mail in mails[dispatch.id]],
                date=dispatch.claimed_at,
            )
            for id_, dispatch in zip(ids, claimed, strict=True)
            if id_ in said and id_ in envelopes
        }

    def _contents(self, wanted: Sequence[_Written]) -> dict[_Written, Content]:
        distinct = dict.fromkeys(wanted)
        new = [written for written in distinct if written not in self._kept]
        found = contents.get_many(self._db, new) if new else {}
        for written, content in found.items():
            self._kept[written] = content
            self._kept_bytes += _size(content)
        needed = {written: self._kept[written] for written in distinct}
        for written in distinct:
            self._kept.move_to_end(written)
        while self._kept_bytes > _MOST_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= _size(dropped)
        return needed


def _batch(dispatch: Claimed, content: Content, mails: Sequence[Message]) -> Batch:
    return Batch(dispatch.id, dispatch.attempt, dispatch.run_id, content, mails)


def _size(content: Content) -> int:
    return len(content.text) + len(content.html)
