"""Mail addresses: what we accept, how two spellings are seen to be one, how a mailbox is written.

The check is email-validator's (syntax only, no DNS). A non-ASCII local part is refused: none of the providers
delivers one (docs/adr/0006). A non-ASCII domain is taken in its ASCII form.
"""

import re
from dataclasses import dataclass
from email.utils import getaddresses
from functools import lru_cache
from typing import Final

from email_validator import EmailNotValidError, validate_email

MAX_ADDRESS: Final = 254  # RFC 5321 4.5.3.1.3: a path of 256 with its angle brackets
MAX_MAILBOX: Final = 500
_PROVIDERS_OWN = re.compile(r"%recipient", re.IGNORECASE)
# All that ends a line for anybody: str.splitlines() knows more than CR and LF. And encoded words (RFC 2047), which may
# hide a line's end: whoever writes the mail anew may decode them.
_HEADER_BREAK = re.compile("[\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]|=\\?[^?]*\\?[bBqQ]\\?[^?]*\\?=")
NOT_IN_A_HEADER: Final = "a line break, or an encoded word (=?...?=), is not allowed here"
_ONE_ADDRESS: Final = "write one address, as Name <address@example.com> or bare"
_ANYBODY: Final = "anybody@example.com"  # stands in while a name is read
_SPECIALS = re.compile(r'[()<>@,;:\\".\[\]]')


class InvalidAddress(ValueError):
    """The text is no address we can send to; the message says why."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name (may be empty) and a bare address."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        if not self.name:
            return self.address
        if _SPECIALS.search(self.name):
            escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}" <{self.address}>'
        return f"{self.name} <{self.address}>"

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def breaks_header(text: str) -> bool:
    """True if the text holds what ends a line, or may hide that, with which a header could be broken into two."""
    return _HEADER_BREAK.search(text) is not None


def check_address(text: str) -> str:
    """The address as it will be sent to: trimmed, domain in lower-case ASCII.

    Raises InvalidAddress.
    """
    text = text.strip(" \t")
    if not text:
        raise InvalidAddress("an address is needed")
    if len(text) > MAX_ADDRESS:
        raise InvalidAddress(f"an address has at most {MAX_ADDRESS} characters")
    try:
        checked = validate_email(text, check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError as error:
        raise InvalidAddress(str(error)) from None
    if "." not in (checked.ascii_domain or ""):
        raise InvalidAddress("the part after the @-sign needs a dot")
    return f"{checked.ascii_local_part}@{checked.ascii_domain}"


def fold(address: str) -> str:
    """The key under which two spellings of one address are the same: `Bo@X.org` and `bo@x.org` get one mail."""
    return address.strip().lower()


@lru_cache(maxsize=4_096)  # the same senders again and again, and many recipients
def parse_mailbox(text: str) -> Mailbox:
    """`Ann <ann@example.com>` or a bare address. Raises InvalidAddress."""
    if breaks_header(text):
        raise InvalidAddress(NOT_IN_A_HEADER)
    if len(text) > MAX_MAILBOX:
        raise InvalidAddress(f"at most {MAX_MAILBOX} characters")
    if _PROVIDERS_OWN.search(text):
        raise InvalidAddress("%recipient is the provider's own substitution; it is not allowed here")
    written, bracket, address = text.strip().removesuffix(">").rpartition("<")
    if bool(bracket) != text.strip().endswith(">") or address.count("@") != 1:
        raise InvalidAddress(_ONE_ADDRESS)
    # The address as it is written: the library takes away what may not be in one, and mails somebody else.
    mailbox = Mailbox(check_address(address), _name(written))
    _check_written(mailbox)
    return mailbox


def _name(written: str) -> str:
    """A display name without its quotes. Raises InvalidAddress where it is more than a name."""
    if not written.strip():
        return ""
    try:
        found = getaddresses([f"{written.strip()} <{_ANYBODY}>"])
    except RecursionError:
        found = []
    if len(found) != 1 or found[0][1] != _ANYBODY:
        raise InvalidAddress(_ONE_ADDRESS)
    return found[0][0].strip()


def _check_written(mailbox: Mailbox) -> None:
    """As we write it, it must read as the same again: quoting can hide what may not be in it."""
    text = str(mailbox)
    if len(text) > MAX_MAILBOX:
        raise InvalidAddress(f"at most {MAX_MAILBOX} characters")
    if breaks_header(text) or _PROVIDERS_OWN.search(text):
        raise InvalidAddress("the name holds what is not allowed in it")
    if getaddresses([text]) != [(mailbox.name, mailbox.address)]:
        raise InvalidAddress("this name cannot be written before an address")
