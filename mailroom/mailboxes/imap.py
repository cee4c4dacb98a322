"""One folder of an IMAP server, read mail by mail, by the standard library's imaplib (RFC 9051, RFC 3501).

A mail that was taken in is marked as read. A mail that Mailroom cannot use stays unread and gets a star, so that a
person sees it; it is not looked at again until the star is gone. Both marks are flags that every server keeps.

Every wait is bounded, and of each mail only the beginning is fetched.
"""

import contextlib
import imaplib
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from mailroom.domain.errors import MailboxAway
from mailroom.domain.imap_places import ImapPlace

T = TypeVar("T")
_TIMEOUT_S: Final = 20.0  # of each step
_WINDOW: Final = 5_000  # mails of one search: its answer is one line, of bounded length
_NEW: Final = "UNSEEN UNFLAGGED UNDELETED"


@dataclass(frozen=True, slots=True)
class FetchedMail:
    """A mail's beginning. `size`: of the whole mail, in bytes."""

    uid: int
    size: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class ImapFolder:
    """A folder that can be opened."""

    place: ImapPlace

    def __str__(self) -> str:
        return f"{self.place.folder} of {self.place.user} at {self.place.host}"

    @contextlib.contextmanager
    def open(self) -> Iterator["OpenFolder"]:
        """The folder, for reading and flagging. Raises MailboxAway, also for a sign-in that is refused."""
        client = self.asked(self._connect)
        try:
            self.asked(lambda: _ok(client.login(_quoted(self.place.user), self.place.password)))
            exists = self.asked(lambda: _ok(client.select(_quoted(self.place.folder))))
            yield OpenFolder(client, self, int(exists[0] or 0))
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError, ValueError):
                client.logout()

    def _connect(self) -> imaplib.IMAP4:
        if self.place.tls == "none":
            return imaplib.IMAP4(self.place.host, self.place.port, timeout=_TIMEOUT_S)
        context = ssl.create_default_context(cafile=self.place.ca or None)
        if self.place.tls == "implicit":
            return imaplib.IMAP4_SSL(self.place.host, self.place.port, ssl_context=context, timeout=_TIMEOUT_S)
        client = imaplib.IMAP4(self.place.host, self.place.port, timeout=_TIMEOUT_S)
        try:
            client.starttls(context)
        except BaseException:
            client.shutdown()
            raise
        return client

    def asked(self, ask: Callable[[], T]) -> T:
        """Raises MailboxAway, in words without the password."""
        try:
            return ask()
        except (imaplib.IMAP4.error, OSError, ValueError, IndexError) as error:
            words = str(error).replace(self.place.password, "***")[:200]
            raise MailboxAway(f"the mailbox {self} cannot be read: {type(error).__name__} {words}") from error


class OpenFolder:
    """A folder that is open. Each method raises MailboxAway."""

    def __init__(self, client: imaplib.IMAP4, of: ImapFolder, exists: int) -> None:
        self._client, self._of, self._exists = client, of, exists

    def new_mails(self, *, limit: int) -> list[int]:
        """The UIDs of the oldest mails that nobody has looked at, at most `limit`."""
        found: list[int] = []
        for first in range(1, self._exists + 1, _WINDOW):
            last = first + _WINDOW - 1 if first + _WINDOW <= self._exists else "*"
            answer = self._uid("SEARCH", f"{first}:{last} {_NEW}")
            found += [int(uid) for uid in (answer[0] or b"").split()]
            if len(found) >= limit:
                break
        return found[:limit]

    def fetch(self, uid: int, *, most: int) -> FetchedMail | None:
        """The first `most` bytes of a mail, which stays as it is; None if it is gone."""
        sizes = self._uid("FETCH", str(uid), "(RFC822.SIZE)")
        size = next((int(found[1]) for part in sizes if (found := re.search(rb"RFC822\.SIZE (\d+)", _flat(part)))), 0)
        parts = self._uid("FETCH", str(uid), f"(UID BODY.PEEK[]<0.{most}>)")
        for part in parts:
            if isinstance(part, tuple) and len(part) == 2 and isinstance(part[1], bytes):
                return FetchedMail(uid, size or len(part[1]), part[1][:most])
        return None

    def mark_read(self, uid: int) -> None:
        self._uid("STORE", str(uid), r"+FLAGS.SILENT (\Seen)")

    def give_star(self, uid: int) -> None:
        """Leave the mail unread for a person."""
        self._uid("STORE", str(uid), r"+FLAGS.SILENT (\Flagged)")

    def _uid(self, command: str, *arguments: str) -> list[Any]:
        return self._of.asked(lambda: _ok(self._client.uid(command, *arguments)))


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    """The data of an answer. Raises IMAP4.error for a refusal."""
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"the server answered {status} {data}"[:200])
    return data


def _flat(part: Any) -> bytes:
    if isinstance(part, tuple):
        return b" ".join(piece for piece in part if isinstance(piece, bytes))
    return part if isinstance(part, bytes) else b""


def _quoted(folder: str) -> str:
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
