"""Mails as MIME: nothing that somebody writes can break a header, or end the message, before its time."""

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest

from mailroom.domain.addresses import Mailbox, parse_mailbox
from mailroom.domain.emails.model import Addressee, Body, Email, Place, Priority
from mailroom.providers.mime import as_mime
from mailroom.providers.smtp.dialogue import stuffed
from tests.support.builders import NOW

HIDDEN_BREAK = "=?utf-8?q?a=0D=0ABcc:_x@y.z=0D=0A=0D=0A<b>phish</b>?="
NAMES = ["Message-ID", "Date", "From", "To", "Subject"]
OF_THE_BODY = ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"]


def written(*, name: str = "Bo", subject: str = "Hello", text: str = "Hello", sender: str = "s@example.com") -> bytes:
    to = [Addressee(Mailbox("bo@example.org", name), Place.TO), Addressee(Mailbox("c@example.org"), Place.BCC)]
    email = Email(sender, "", to, subject, Body(text, "", {}, ()), (), {}, Priority.NORMAL, None)
    return as_mime(email, message_id="id@example.com", date=NOW)


def read(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


@pytest.mark.parametrize("what", [{"subject": HIDDEN_BREAK}, {"name": HIDDEN_BREAK}], ids=["subject", "name"])
def test_a_break_that_is_hidden_in_an_encoded_word_breaks_no_header(what: dict[str, str]) -> None:
    """Names and values of a campaign are other people's, and meet in the subject only when it is rendered."""
    raw = written(**what)

    found = read(raw)
    assert found.keys() == [*NAMES, *OF_THE_BODY]
    assert found.get_content().strip() == "Hello"
    assert b"phish" not in raw


@pytest.mark.parametrize("subject", ["Zwölf Grüße", "日本語" * 60, "x" * 3_000, "a =? b", "Bell\x07"])
def test_a_subject_is_read_as_it_was_written_in_lines_of_lawful_length(subject: str) -> None:
    raw = written(subject=subject, name=subject[:80])

    assert read(raw)["Subject"] == subject
    assert str(make_header(decode_header(message_from_bytes(raw)["To"]))) == f"{subject[:80]} <bo@example.org>"
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("sender", ['"Ann, of \\"Sales\\"" <ann@example.com>', "Änne <ann@example.com>"])
def test_a_name_is_read_as_it_was_written(sender: str) -> None:
    found = read(written(sender=sender))["From"].addresses[0]

    assert (found.display_name, found.addr_spec) == (parse_mailbox(sender).name, "ann@example.com")


@pytest.mark.parametrize("text", ["a\n.\nb", "a\r.\rb", "a\r\n.\r\nb", ".", "..\n."])
def test_no_line_of_a_text_ends_the_message_for_any_server(text: str) -> None:
    on_the_wire = stuffed(written(text=text))

    assert b"\r" not in on_the_wire.replace(b"\r\n", b"")
    assert b"\n" not in on_the_wire.replace(b"\r\n", b"")
    assert b"\r\n.\r\n" not in on_the_wire
