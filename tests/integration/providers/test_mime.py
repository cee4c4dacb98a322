"""Mails as MIME: nothing that somebody writes can break a header, or end the message, before its time."""

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest

from mailroom.domain.addresses import Mailbox, parse_mailbox
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.emails.model import Addressee, Attachment, Body, Email, Place, Priority
from mailroom.providers.mime import as_mime
from mailroom.providers.smtp.dialogue import stuffed
from tests.support.builders import NOW

HIDDEN_BREAK = "=?utf-8?q?a=0D=0ABcc:_x@y.z=0D=0A=0D=0A<b>phish</b>?="
NAMES = ["Message-ID", "Date", "From", "To", "Subject"]
OF_THE_BODY = ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"]


def written(
    *,
    name: str = "Bo",
    subject: str = "Hello",
    text: str = "Hello",
    html: str = "",
    sender: str = "s@example.com",
    reply_to: str = "",
    attachment: bytes = b"",
) -> bytes:
    to = [Addressee(Mailbox("bo@example.org", name), Place.TO), Addressee(Mailbox("c@example.org"), Place.BCC)]
    files = [Attachment("a.bin", "application/octet-stream", attachment)] if attachment else []
    email = Email(sender, reply_to, to, subject, Body(text, html, {}, files), (), {}, Priority.NORMAL, None)
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


@pytest.mark.parametrize(
    "text",
    ["Grüße", "<p>Grüße</p>" * 300, "日本語\n" * 200, "x" * 5_000, "a\x00b", "\u2028", "\N{BOM}a", "é\n.\né"],
)
def test_every_byte_of_a_mail_has_seven_bits_and_every_line_a_lawful_length(text: str) -> None:
    """Not every server takes eight bits, and one that has to recode a mail breaks its signature."""
    raw = written(text=text, html=text, subject=text[:50].splitlines()[0], attachment=text.encode())

    assert max(raw) < 128
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    parts = [part for part in read(raw).walk() if not part.is_multipart()]
    said = [part.get_content() for part in parts]
    assert [str(one).replace("\r", "").rstrip("\n") for one in said[:2]] == [text.rstrip("\n")] * 2
    assert said[2] == text.encode()


@pytest.mark.parametrize("length", [1, 20, 40, 55, 60, 70, 100, 400])
@pytest.mark.parametrize("letter", ["ü", "日", "\N{GRINNING FACE}"])
def test_a_line_with_an_encoded_word_keeps_to_76_characters(letter: str, length: int) -> None:
    name, address = letter * length, f"{'a' * min(length, 60)}@example.com"
    raw = written(name=name, subject=name, sender=f"{name[:60]} <{address}>", reply_to=f"{name[:60]} <{address}>")

    encoded = [line for line in raw.split(b"\r\n") if b"=?" in line]
    assert encoded
    assert max(map(len, encoded)) <= 76
    assert max(len(word) for line in encoded for word in line.split() if word.startswith(b"=?")) <= 75
    assert read(raw)["Subject"] == name
    assert str(make_header(decode_header(message_from_bytes(raw)["From"]))) == f"{name[:60]} <{address}>"


@pytest.mark.parametrize("content_id", ["logo", "a@[207.202.136.216].0.0", "x" * 128, "a+b=c~d@e.f", "1234:5@x"])
def test_a_content_id_is_found_in_the_mail_as_the_html_names_it(content_id: str) -> None:
    body = {"filename": "l.png", "content_type": "image/png", "content_id": content_id, "content": "eA=="}
    draft = EmailDraft(sender="s@example.com", to=["b@example.org"], subject="Hi", html="<p>", attachments=[body])

    raw = as_mime(check_email(draft, now=NOW), message_id="id@example.com", date=NOW)

    assert f"\r\nContent-ID: <{content_id}>\r\n".encode() in raw


@pytest.mark.parametrize("text", ["a\n.\nb", "a\r.\rb", "a\r\n.\r\nb", ".", "..\n."])
def test_no_line_of_a_text_ends_the_message_for_any_server(text: str) -> None:
    on_the_wire = stuffed(written(text=text))

    assert b"\r" not in on_the_wire.replace(b"\r\n", b"")
    assert b"\n" not in on_the_wire.replace(b"\r\n", b"")
    assert b"\r\n.\r\n" not in on_the_wire
