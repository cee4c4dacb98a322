"""A message: one mail to one recipient of a run, or of a single mail. Its state, and the facts beside it."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from mailroom.domain.ids import DispatchId, MessageId, RunId, address_digest_of
from mailroom.domain.messages.states import MessageState


class Message(Struct, frozen=True):
    """A message as planning writes it; `parts` are the rendered pieces of the content that differ by recipient."""

    id: MessageId
    run_id: RunId
    dispatch_id: DispatchId | None
    address: str
    name: str
    parts: dict[str, str]
    state: MessageState = MessageState.QUEUED
    reason: str = ""
    place: str = ""  # a recipient of a single mail: to, cc or bcc
    sent: bool = False  # an event or answer shows that a provider accepted the message
    erased: bool = False  # its recipient was erased: it gets no call any more

    def carried_by(self, dispatch: DispatchId | None) -> "Message":
        return replace(self, dispatch_id=dispatch)

    def with_parts(self, more: Mapping[str, str]) -> "Message":
        """With these parts beside its own."""
        return replace(self, parts={**self.parts, **more})


class StoredMessage(Struct, frozen=True, kw_only=True):
    """A message as of its read: its state, and the facts beside the state."""

    id: MessageId
    run_id: RunId  #: for a recipient of a single mail: the mail's id
    dispatch_id: DispatchId | None  #: None: the message never gets a dispatch, or has left its dispatch
    left_dispatch: DispatchId | None = None  #: the dispatch that the message left before the call
    address: str
    name: str
    state: MessageState
    code: int | None = None  #: the provider's last code, with `reason`
    reason: str | None = None
    place: str = ""  #: a recipient of a single mail: to, cc or bcc
    sent_again: str | None = None  #: the run or mail that carries the message instead
    sent_at: datetime | None = None  #: the earliest reported time, as for the other times
    delivered_at: datetime | None = None
    bounced_at: datetime | None = None
    first_opened_at: datetime | None = None
    told_at: datetime | None = None  #: when the newest event about it was taken in
    opens: int = 0  #: by people; distinct events
    clicks: int = 0

    @property
    def digest(self) -> str:
        """The part of the id that identifies the recipient."""
        return address_digest_of(self.id)
