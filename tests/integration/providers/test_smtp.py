"""SMTP over a real local server: what is accepted, what is refused for sure, and what nobody can know."""

import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.ids import DispatchId, RunId, message_id, new_email_id
from mailroom.domain.packed_ids import MessageName
from mailroom.domain.return_paths import ReturnPaths
from mailroom.providers.base import Letter, SendInParts, advance, begin
from mailroom.providers.connection import NotWritten
from mailroom.providers.smtp.connection import SmtpConnection
from mailroom.providers.smtp.sending import SmtpAdapter
from tests.support.smtp import Script, SmtpServer, polite

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    made = SmtpServer().start()
    yield made
    made.stop()


def an_adapter(url: str, *, timeout_s: float = 5, idle_limit_s: float = 600) -> SmtpAdapter:
    return SmtpAdapter(url=url, call_timeout_s=timeout_s, idle_limit_s=idle_limit_s)


def a_letter(to: list[str] | None = None, *, only: list[str] | None = None, **changes: Any) -> Letter:
    fields: dict[str, Any] = {"sender": "Shop <shop@mg.example.com>", "to": to or ["bo@example.org"], "subject": "Hi"}
    email = check_email(EmailDraft(**fields | {"text": "Hello"} | changes), now=NOW)
    everybody = [one.mailbox.address for one in email.addressees]
    return Letter(DispatchId("em_1-d00000"), 1, RunId("em_1"), email, only or everybody, NOW)


def send(adapter: SmtpAdapter, connection: SmtpConnection, letter: Letter) -> Outcome:
    """A whole call, as the callers' thread drives it."""
    refused = begin(connection, adapter.build_letter(letter))
    if refused:
        return refused
    while (outcome := advance(adapter, connection)) is None:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        waiting.poll(max(0.0, connection.deadline - time.monotonic()) * 1000)
    return outcome


def send_one(url: str, letter: Letter, **options: float) -> Outcome:
    adapter = an_adapter(url, **options)
    connection = adapter.connection()
    connection.open()
    try:
        return send(adapter, connection, letter)
    finally:
        connection.close()


def test_a_mail_reaches_its_envelope_and_no_header_names_bcc(server: SmtpServer) -> None:
    letter = a_letter(["Bo <bo@example.org>"], cc=["cy@example.org"], bcc=["di@example.org"], html="<p>Grüße</p>")

    outcome = send_one(server.url(), letter)

    assert isinstance(outcome, Accepted)
    (got,) = server.post.got
    assert got.recipients == ["bo@example.org", "cy@example.org", "di@example.org"]
    assert got.message["To"] == "Bo <bo@example.org>"
    assert got.message["Cc"] == "cy@example.org"
    assert b"di@example.org" not in got.raw
    html = got.message.get_body(preferencelist=("html",))
    assert html is not None
    assert html.get_content().strip() == "<p>Grüße</p>"


@pytest.mark.parametrize("bounces_read", [True, False])
def test_with_return_paths_a_bounce_goes_to_an_address_that_names_the_mail(
    server: SmtpServer, bounces_read: bool
) -> None:
    paths, run = ReturnPaths("bounces@example.org", ["a-key-of-16-chars"]), RunId(new_email_id(NOW))
    adapter = SmtpAdapter(
        url=server.url(), call_timeout_s=5, idle_limit_s=600, return_paths=paths, bounces_read=bounces_read
    )
    connection = adapter.connection()
    connection.open()

    outcome = send(adapter, connection, replace(a_letter(["bo@example.org"]), run=run))

    connection.close()
    assert isinstance(outcome, Accepted)
    assert outcome.bounces_read is bounces_read
    (got,) = server.post.got
    assert paths.find(f"To: {got.sender}".encode()) == MessageName(run, message_id(run, "bo@example.org")[-20:][:10])
    assert got.message["From"] == "Shop <shop@mg.example.com>"
    assert got.sender not in got.raw.decode()


def test_with_return_paths_a_mail_to_several_goes_to_each_by_a_call_of_its_own() -> None:
    paths = ReturnPaths("bounces@example.org", ["a-key-of-16-chars"])
    adapter = SmtpAdapter(url="smtp://localhost", call_timeout_s=5, idle_limit_s=600, return_paths=paths)

    with pytest.raises(SendInParts) as parts:
        adapter.build_letter(a_letter(["a@example.org", "b@example.org"]))

    assert parts.value.at_most == 1


def test_one_session_carries_many_messages_and_leading_dots_arrive(server: SmtpServer) -> None:
    adapter = an_adapter(server.url())
    connection = adapter.connection()
    connection.open()

    for number in range(20):
        assert connection.usable()
        assert isinstance(send(adapter, connection, a_letter(text=f".{number}\n..\nend\n")), Accepted)

    texts = [got.message.get_content().replace("\r\n", "\n") for got in server.post.got]
    assert texts == [f".{number}\n..\nend\n" for number in range(20)]
    connection.close()


def test_each_recipient_has_an_answer_of_its_own(server: SmtpServer) -> None:
    server.post.at_rcpt = {"b@example.org": "550 5.1.1 no such user", "c@example.org": "452 4.2.2 mailbox full"}

    outcome = send_one(server.url(), a_letter(["a@example.org", "b@example.org", "c@example.org"]))

    assert isinstance(outcome, InPart)
    assert {to: (why.kind, why.hard) for to, why in outcome.refused.items()} == {
        "b@example.org": (Refusal.PERMANENT, True),
        "c@example.org": (Refusal.TEMPORARY, False),
    }
    assert server.post.got[0].recipients == ["a@example.org"]


@pytest.mark.parametrize("code", [250, 251, 252, 254, 259, 299])
def test_a_recipient_is_taken_by_the_first_digit_of_the_answer(server: SmtpServer, code: int) -> None:
    server.post.takes = {"b@example.org": f"{code} 2.1.5 taken"}

    alone = send_one(server.url(), a_letter(["b@example.org"]))
    beside = send_one(server.url(), a_letter(["a@example.org", "b@example.org"]))

    assert isinstance(alone, Accepted)
    assert isinstance(beside, Accepted)
    assert [got.recipients for got in server.post.got] == [["b@example.org"], ["a@example.org", "b@example.org"]]


@pytest.mark.parametrize(
    ("reply", "kind", "hard"),
    [
        ("550 5.1.1 no such user", Refusal.PERMANENT, True),
        ("550 5.7.1 not from you", Refusal.PERMANENT, False),
        ("553 what is this", Refusal.PERMANENT, False),
        ("450 4.2.1 later", Refusal.TEMPORARY, False),
        ("552 too many recipients", Refusal.TEMPORARY, False),
        ("454 4.7.1 not now", Refusal.TEMPORARY, False),
        ("530 5.7.0 sign in first", Refusal.ACCOUNT, False),
    ],
)
def test_a_refused_recipient_is_told_apart_by_its_code(
    server: SmtpServer, reply: str, kind: Refusal, hard: bool
) -> None:
    server.post.at_rcpt = {"bo@example.org": reply}

    outcome = send_one(server.url(), a_letter())

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.hard) == (kind, hard)
    assert not server.post.got


@pytest.mark.parametrize(
    ("reply", "kind"), [("451 4.3.0 later", Refusal.TEMPORARY), ("554 5.6.0 not this", Refusal.PERMANENT)]
)
def test_a_reply_to_the_message_that_says_no_is_no_doubt(server: SmtpServer, reply: str, kind: Refusal) -> None:
    server.post.at_data = [reply]

    outcome = send_one(server.url(), a_letter())

    assert isinstance(outcome, Refused)
    assert outcome.kind is kind


def test_a_session_signs_in_over_tls(tls: ssl.SSLContext) -> None:
    server = SmtpServer(tls=tls, password="p w").start()
    try:
        right = send_one(server.url("ann:p%20w@", query=""), a_letter())
        with pytest.raises(NotWritten, match="Authentication"):
            send_one(server.url("ann:wrong@", query=""), a_letter())
        in_the_clear = send_one(server.url(query="?tls=none"), a_letter())
    finally:
        server.stop()

    assert isinstance(right, Accepted)
    assert isinstance(in_the_clear, Refused)
    assert in_the_clear.kind is Refusal.ACCOUNT


def test_a_server_without_starttls_gets_nothing_unless_the_setting_says_so(server: SmtpServer) -> None:
    with pytest.raises(NotWritten, match="STARTTLS"):
        send_one(server.url(query=""), a_letter())


def drops(until: bytes) -> Any:
    def talk(file: Any, sock: socket.socket) -> None:
        polite(file, until)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return talk


def hangs(until: bytes) -> Any:
    def talk(file: Any, _sock: socket.socket) -> None:
        polite(file, until)
        time.sleep(3)

    return talk


@pytest.mark.parametrize("talk", [drops, hangs])
@pytest.mark.parametrize("until", [b"MAIL", b"RCPT", b"DATA"])
def test_what_fails_before_the_message_was_handed_over_was_not_sent(talk: Any, until: bytes) -> None:
    script = Script(talk(until))

    outcome = send_one(f"smtp://127.0.0.1:{script.port}?tls=none", a_letter(), timeout_s=1)

    script.close()
    assert isinstance(outcome, Refused)
    assert outcome.kind is Refusal.NOT_CALLED


@pytest.mark.parametrize("talk", [drops, hangs])
def test_a_lost_answer_to_the_final_dot_is_in_doubt(talk: Any) -> None:
    script = Script(talk(b"."))

    outcome = send_one(f"smtp://127.0.0.1:{script.port}?tls=none", a_letter(), timeout_s=1)

    script.close()
    assert isinstance(outcome, InDoubt)


def test_a_message_whose_time_is_over_half_way_never_ends() -> None:
    """The server stops reading within the message: what was written has no final dot, and never gets one."""
    seen: list[bytes] = []

    def talk(file: Any, sock: socket.socket) -> None:
        polite(file, b"DATA")
        file.write(b"354 go on\r\n")
        time.sleep(1.5)
        sock.settimeout(2)
        try:
            while part := sock.recv(1_000_000):
                seen.append(part)
        except OSError:
            pass

    script = Script(talk)

    outcome = send_one(f"smtp://127.0.0.1:{script.port}?tls=none", a_letter(text="x" * 20_000_000), timeout_s=1)

    time.sleep(1)
    script.close()
    assert isinstance(outcome, Refused)
    assert outcome.kind is Refusal.NOT_CALLED
    assert not b"".join(seen).endswith(b"\r\n.\r\n")


def test_a_session_that_the_server_ended_or_that_waited_too_long_is_not_used(server: SmtpServer) -> None:
    clock = [0.0]
    adapter = an_adapter(server.url(), idle_limit_s=100)
    connection = adapter.connection()
    connection._monotonic = lambda: clock[0]
    connection.open()
    assert connection.usable()

    clock[0] = 51
    too_old = connection.usable()
    clock[0] = 0
    server.stop()
    deadline = time.monotonic() + 5
    while connection.usable() and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not too_old
    assert not connection.usable()


def test_a_part_of_a_mail_goes_to_those_who_are_left_and_names_everybody(server: SmtpServer) -> None:
    letter = a_letter(["a@example.org", "b@example.org"], only=["b@example.org"])

    assert isinstance(send_one(server.url(), letter), Accepted)

    (got,) = server.post.got
    assert got.recipients == ["b@example.org"]
    assert got.message["To"] == "a@example.org, b@example.org"
