"""Claimed dispatches become ready requests, all of them in two questions to the store."""

from collections.abc import Sequence

from mailroom.domain.dispatches import Claimed
from mailroom.domain.outcomes import Refusal, Refused
from mailroom.providers.base import Adapter, Batch, Request
from mailroom.services.recording import Result
from mailroom.storage import contents, messages
from mailroom.storage.database import Db


def build_requests(db: Db, adapter: Adapter, claimed: Sequence[Claimed]) -> tuple[dict[Claimed, Request], list[Result]]:
    """A request for each dispatch, and a refusal for each that the provider cannot be asked to send.

    Raises Unavailable.
    """
    mails = messages.of_dispatches(db, [dispatch.id for dispatch in claimed])
    written = contents.get_many(db, [(dispatch.schedule_id, dispatch.revision) for dispatch in claimed])
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
            ready[dispatch] = adapter.build(batch)
        except ValueError as error:
            refused.append(Result(dispatch, Refused(Refusal.PERMANENT, f"{adapter.name} cannot send this: {error}")))
    return ready, refused
