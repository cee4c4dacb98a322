"""Begin a session: connect, greeting, EHLO, STARTTLS, sign-in. No part of a mail has left by then.

Source: RFC 5321 4.1.1.1 and 4.3.2, RFC 3207, RFC 4954 (read 2026-11).
"""

import base64
import hmac
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, unquote

from mailroom.providers.connection import NotAdmitted, NotWritten
from mailroom.providers.smtp.line import SmtpLine
from mailroom.providers.smtp.replies import Garbled, SmtpAnswer


def begin_session(
    url: SplitResult, *, tls: str, local_name: str, within_s: float, monotonic: Callable[[], float] = time.monotonic
) -> SmtpLine:
    """A session that is ready for a message. Raises NotAdmitted if the server refuses us, else NotWritten."""
    host, port = url.hostname or "", url.port or (465 if tls == "implicit" else 587)
    line: SmtpLine | None = None
    try:
        line = SmtpLine(socket.create_connection((host, port), timeout=within_s), monotonic)
        line.deadline = monotonic() + within_s
        _greet(line, url, tls, local_name)
    except BaseException as error:
        if line:
            line.close()
        where = f"no session with {host}:{port}"
        if isinstance(error, NotAdmitted):
            raise NotAdmitted(f"{where}: {error}") from error
        if isinstance(error, (OSError, Garbled, ValueError)):
            raise NotWritten(f"{where}: {type(error).__name__} {str(error)[:300]}") from error
        raise
    return line


def _greet(line: SmtpLine, url: SplitResult, tls: str, local_name: str) -> None:
    if tls == "implicit":
        line.secure(ssl.create_default_context(), url.hostname or "")
    _expect(line.read(), "its greeting")
    offers = _hello(line, local_name)
    if tls == "starttls":
        if "STARTTLS" not in offers:
            raise NotAdmitted("the server offers no STARTTLS; `?tls=none` sends in the clear")
        _expect(line.ask("STARTTLS"), "STARTTLS")
        line.secure(ssl.create_default_context(), url.hostname or "")
        offers = _hello(line, local_name)
    line.takes_size = "SIZE" in offers
    if url.username:
        _sign_in(line, offers.get("AUTH", "").upper().split(), unquote(url.username), unquote(url.password or ""))


def _expect(answer: SmtpAnswer, what: str) -> SmtpAnswer:
    if answer.taken:
        return answer
    if answer.refused:
        raise NotAdmitted(f"the server answered {what} with {answer}"[:400])
    raise Garbled(f"the server answered {what} with {answer}"[:400])


def _hello(line: SmtpLine, local_name: str) -> Mapping[str, str]:
    """The server's extensions by keyword; empty if it knows only HELO."""
    answer = line.ask(f"EHLO {local_name}")
    if answer.code // 100 == 5:
        _expect(line.ask(f"HELO {local_name}"), "HELO")
        return {}
    offers = _expect(answer, "EHLO").words.split("\n")[1:]
    # Some servers still write AUTH= as before RFC 2554.
    parted = (offer.replace("AUTH=", "AUTH ", 1).partition(" ") for offer in offers)
    return {keyword.upper(): values for keyword, _, values in parted}


def _sign_in(line: SmtpLine, offered: list[str], user: str, password: str) -> None:
    known = [how for how in _WAYS if how in offered]
    if not known:
        raise NotAdmitted(f"Authentication: the server offers {' '.join(offered) or 'none'}, not {', '.join(_WAYS)}")
    for how in known:
        answer = _WAYS[how](line, user, password)
        if answer.taken:
            return
        if answer.code // 100 != 5:
            break
    raise NotAdmitted(f"Authentication failed: the server answered {answer}"[:400])


def _cram_md5(line: SmtpLine, user: str, password: str) -> SmtpAnswer:
    challenge = line.ask("AUTH CRAM-MD5")
    if not challenge.go_on:
        return challenge
    digest = hmac.new(password.encode(), base64.b64decode(challenge.words), "md5").hexdigest()
    return line.ask(_coded(f"{user} {digest}"))


def _plain(line: SmtpLine, user: str, password: str) -> SmtpAnswer:
    secret = _coded(f"\0{user}\0{password}")
    answer = line.ask(f"AUTH PLAIN {secret}")
    return line.ask(secret) if answer.go_on else answer


def _login(line: SmtpLine, user: str, password: str) -> SmtpAnswer:
    answer = line.ask("AUTH LOGIN")
    for word in (user, password):
        if not answer.go_on:
            break
        answer = line.ask(_coded(word))
    return answer


def _coded(words: str) -> str:
    return base64.b64encode(words.encode()).decode()


_WAYS: Final[Mapping[str, Callable[[SmtpLine, str, str], SmtpAnswer]]] = {
    "CRAM-MD5": _cram_md5,
    "PLAIN": _plain,
    "LOGIN": _login,
}
