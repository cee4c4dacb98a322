"""Claimed dispatches become ready requests, all of them in one question to the store, or two where content is new."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from mailroom.domain.dispatches import Claimed
from mailroom.domain.ids import ScheduleId
from mailroom.domain.outcomes import Refusal, Refused
from mailroom.domain.schedules import Content
from mailroom.providers.base import Adapter, Batch, Request
from mailroom.services.recording import Result
from mailroom.services.suppressing import leave_out_suppressed
from mailroom.storage import contents, messages
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
        written = self._contents([(dispatch.schedule_id, dispatch.revision) for dispatch in claimed])
        ready: dict[Claimed, Request] = {}
        refused: list[Result] = []
        for dispatch in claimed:
            batch = Batch(
                dispatch=dispatch.id,
                attempt=dispatch.attempt,
                run=dispatch.run_id,
                content=written[dispatch.schedule_id, dispatch.revision],
                messages=mails[dispatch.id],
            )
            try:
                ready[dispatch] = self._adapter.build(batch)
            except ValueError as error:
                words = f"{self._adapter.name} cannot send this: {error}"
                refused.append(Result(dispatch, Refused(Refusal.PERMANENT, words)))
        return Prepared(ready, refused, cancelled)

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


def _size(content: Content) -> int:
    return len(content.text) + len(content.html)
