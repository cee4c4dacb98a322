"""The interface of every provider's adapter: build a request, post it, read the answer.

This module owns the sequence; an adapter holds only what differs by vendor. `build` and `read` are pure; only the
connection touches the wire.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from mailroom.domain.dispatches.doubts import Traces
from mailroom.domain.dispatches.outcomes import InDoubt, Outcome, Refusal, Refused
from mailroom.domain.emails.model import Attachment, Email
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import DispatchId, RunId, schedule_of_run
from mailroom.domain.list_headers import list_headers
from mailroom.domain.messages.model import Message
from mailroom.domain.run_values import NO_RUN_VALUES, RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.template_filling import LINK_KEY, MAILTO_KEY
from mailroom.providers.connection import LostReply, NotWritten, Reply


class SendInParts(Exception):
    """The vendor cannot express this batch in one call, but in several calls of at most `at_most` recipients."""

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        super().__init__(f"at most {at_most} recipients a call")


@dataclass(frozen=True, slots=True)
class Batch:
    """One dispatch of a run, ready to send: one content, and many recipients with their own parts."""

    dispatch: DispatchId
    attempt: int
    run: RunId
    content: Content
    messages: Sequence[Message]
    date: datetime
    run_values: RunValues = NO_RUN_VALUES
    files: Sequence[Attachment] = ()  # that each of its mails carries

    def headers(self, parts: Mapping[str, str]) -> dict[str, str]:
        """The schedule's own headers, and those by which the reader with these parts leaves its topic, if any."""
        content, link, also = self.content, parts.get(LINK_KEY, ""), parts.get(MAILTO_KEY, "")
        origin = schedule_of_run(self.run)
        of_topic = list_headers(content.topic, sender=content.sender, link=link, also=also, origin=origin)
        return dict(content.headers) | of_topic


@dataclass(frozen=True, slots=True)
class Letter:
    """One dispatch of a single mail: to all of its recipients, or to some of them."""

    dispatch: DispatchId
    attempt: int
    run: RunId  # the mail's id, in place of a run's
    email: Email
    recipients: Sequence[str]  # the addresses of this call
    date: datetime

    @property
    def whole(self) -> bool:
        """True if the call goes to everybody named in the headers."""
        return len(self.recipients) == len(self.email.addressees)


class Connection(Protocol):
    """A live connection for one request at a time. connection.py describes each method."""

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
    """A provider's log: the traces of each dispatch of the question, and whether it shows the control."""

    traces: Mapping[DispatchId, Traces]
    control_seen: bool


class Adapter(Protocol):
    """One account at one vendor."""

    name: str
    account: str  # names the log in which a call is looked up later, such as the sending domain
    max_recipients: int  # of a batch
    max_connections: int  # of one sender at a time
    askable: bool  # whether the vendor has a log to ask; otherwise only its webhooks tell the outcome of a lost call

    def connection(self) -> Connection:
        """A connection to the vendor, not yet open."""
        ...

    def build(self, batch: Batch) -> Any:
        """The request for a batch. Raises ValueError when the vendor cannot express it, or SendInParts."""
        ...

    def build_letter(self, letter: Letter) -> Any:
        """The request for a single mail. Raises ValueError when the vendor cannot express it, or SendInParts."""
        ...

    def read(self, reply: Reply) -> Outcome:
        """The outcome by a whole answer. InDoubt unless the answer is surely an acceptance or a refusal."""
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
        """Look up these dispatches, and the log name of a control, in one question. `told_as`: further log names of
        dispatches, known from events.

        Raises Unavailable for anything but a whole and well-formed answer.
        """
        ...

    def accepted_since(self, account: str, since: datetime) -> Iterator[tuple[DispatchId, str]]:
        """All our calls that the log shows as accepted: pairs of dispatch and recipient. Raises Unavailable."""
        ...

    def make_control(self, account: str) -> str:
        """Make an entry in the log by a test mail that is never sent. Returns its log name. Raises Unavailable."""
        ...


class CannotBeAsked:
    """For adapters whose vendor has no log: each question raises Unavailable."""

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
    """Begin the call, once, over this open connection. Returns None once it is under way."""
    try:
        connection.begin(request)
    except NotWritten as error:
        return Refused(Refusal.NOT_CALLED, str(error))
    return None


def advance(adapter: Adapter, connection: Connection) -> Outcome | None:
    """The outcome of the call, or None while it is under way. Faults of the wire are outcomes, never raised."""
    try:
        reply = connection.advance()
    except NotWritten as error:
        return Refused(Refusal.NOT_CALLED, str(error))
    except LostReply as error:
        # The gap that no local store can close: the provider may have accepted the call, and its answer is lost.
        return InDoubt(f"no answer: {error}")
    return adapter.read(reply) if reply is not None else None
