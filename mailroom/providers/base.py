"""What every provider's adapter is: build, post, read. The base owns the sequence, an adapter what its vendor does
differently. `build` and `read` are pure; only the connection touches the wire.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from mailroom.domain.doubts import Traces
from mailroom.domain.emails.model import Email
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.messages import Message
from mailroom.domain.outcomes import InDoubt, Outcome, Refusal, Refused
from mailroom.domain.schedules import Content
from mailroom.providers.connection import LostReply, NotWritten, Reply


class SendInParts(Exception):
    """The vendor cannot express this batch in one call, but could in several of at most so many recipients."""

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        super().__init__(f"at most {at_most} recipients a call")


@dataclass(frozen=True, slots=True)
class Batch:
    """One dispatch as a provider is to send it: one content, many recipients with their own parts."""

    dispatch: DispatchId
    attempt: int
    run: RunId
    content: Content
    messages: Sequence[Message]
    date: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """One dispatch of a single mail: to all of its recipients, or to those that are left of them."""

    dispatch: DispatchId
    attempt: int
    run: RunId  # the mail's id, which stands in the place of a run's
    email: Email
    recipients: Sequence[str]  # the addresses of this call
    date: datetime

    @property
    def whole(self) -> bool:
        """True if it goes to everybody whom its headers name."""
        return len(self.recipients) == len(self.email.addressees)


class Connection(Protocol):
    """A live connection for one request at a time: see connection.py for what each promises."""

    def open(self) -> None: ...
    def usable(self) -> bool: ...
    def begin(self, request: Any) -> None: ...
    def advance(self) -> Reply | None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...
    @property
    def writing(self) -> bool: ...
    @property
    def deadline(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider's log shows: traces of each dispatch that was asked about, and whether the control is there."""

    traces: Mapping[DispatchId, Traces]
    control_seen: bool


class Adapter(Protocol):
    """One account at one vendor."""

    name: str
    account: str  # where questions about a call are asked later, such as the sending domain
    max_recipients: int  # of a batch
    max_connections: int  # of one sender at a time
    askable: bool  # whether its log can be asked; where it cannot, what it tells by itself is all that is known

    def connection(self) -> Connection:
        """A connection to the vendor, not yet open."""
        ...

    def build(self, batch: Batch) -> Any:
        """The request for a batch. Raises ValueError when the vendor cannot express it, or SendInParts."""
        ...

    def build_letter(self, letter: Letter) -> Any:
        """The request for a single mail. Raises ValueError when the vendor cannot express it."""
        ...

    def read(self, reply: Reply) -> Outcome:
        """What a whole answer means. Anything that is not surely a refusal or an acceptance is InDoubt."""
        ...

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        """The name under which the vendor's log shows a dispatch of this account, such as its Message-Id."""
        ...

    def ask(
        self,
        account: str,
        dispatches: Sequence[DispatchId],
        control: str | None,
        told_as: Mapping[DispatchId, Sequence[str]] = ...,
    ) -> Answer:
        """Look these dispatches, and the log name of a control, up in the log, in one question. `told_as`: other
        names of some, as events told them.

        Raises Unavailable for anything but a whole and well-formed answer.
        """
        ...

    def accepted_since(self, account: str, since: datetime) -> Iterator[tuple[DispatchId, str]]:
        """All that the vendor's log shows as accepted of ours: each dispatch with a recipient. Raises Unavailable."""
        ...

    def make_control(self, account: str) -> str:
        """Have a mail accepted that is not sent, for the log to show. Returns its log name. Raises Unavailable."""
        ...


class CannotBeAsked:
    """The questions of an adapter whose vendor has no log to ask: each raises Unavailable."""

    askable = False
    name: str

    def ask(
        self,
        account: str,
        dispatches: Sequence[DispatchId],
        control: str | None,
        told_as: Mapping[DispatchId, Sequence[str]] = MappingProxyType({}),
    ) -> Answer:
        raise self._no_log()

    def accepted_since(self, account: str, since: datetime) -> Iterator[tuple[DispatchId, str]]:
        raise self._no_log()

    def make_control(self, account: str) -> str:
        raise self._no_log()

    def _no_log(self) -> Unavailable:
        return Unavailable(f"{self.name} has no log to ask")


def begin(connection: Connection, request: Any) -> Refused | None:
    """Begin the call, once, over this open connection; None where it is under way."""
    try:
        connection.begin(request)
    except NotWritten as error:
        return Refused(Refusal.NOT_CALLED, str(error))
    return None


def advance(adapter: Adapter, connection: Connection) -> Outcome | None:
    """What came of the call, or None while it is under way. Never raises for what the wire does."""
    try:
        reply = connection.advance()
    except NotWritten as error:
        return Refused(Refusal.NOT_CALLED, str(error))
    except LostReply as error:
        # The gap that no local store can close: the provider may have said yes to nobody.
        return InDoubt(f"no answer: {error}")
    return adapter.read(reply) if reply is not None else None
