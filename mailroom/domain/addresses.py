"""Mail addresses: validation, the key that equal spellings share, and the written form of a mailbox.

The check is email-validator's (syntax only, no DNS). A non-ASCII local part is refused: none of the providers
delivers one (docs/adr/0006). A non-ASCII domain is taken in its ASCII form. A quoted local part is taken where only its
dots need the quotes (`"us..er"@docomo.ne.jp`): anything else in quotes is read differently by different servers.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from email.utils import getaddresses
from functools import lru_cache
from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from msgspec import Struct

from mailroom.domain.limits import MAX_REPLY_TO

MAX_ADDRESS: Final = 254  # RFC 5321 4.5.3.1.3: a path of 256 with its angle brackets
MAX_LOCAL_PART: Final = 64  # RFC 5321 4.5.3.1.1, its quotes included
MAX_MAILBOX: Final = 500
_PROVIDERS_OWN = re.compile(r"%recipient", re.IGNORECASE)
# Every character that any reader takes for the end of a line; str.splitlines() knows more than CR and LF. Encoded words
# (RFC 2047) can hide a line break: a server that rewrites the mail may decode them.
_HEADER_BREAK = re.compile("[\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]|=\\?[^?]*\\?[bBqQ]\\?[^?]*\\?=")
NOT_IN_A_HEADER: Final = "a line break, or an encoded word (=?...?=), is not allowed here"
_ONE_ADDRESS: Final = "write one address, as Name <address@example.com> or bare"
_IN_QUOTES: Final = f'{_ONE_ADDRESS}; a name that holds , ; < > or @ stands in double quotes: "Smith, Bo"'
_NAME_NEEDS_QUOTES: Final = re.compile(r'[()<>@,;:\\".\[\]\t]|  ')
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_LIST_IN_NAME: Final = re.compile(r"[<>,;@]")
_ADDRESS_IN_NAME: Final = re.compile(r"[<>;@]")

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_ATOMS_AND_DOTS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
# Addresses that email-validator accepts and changes only in the case of the domain. email-validator takes 45
# microseconds an address, this expression takes one. A test holds the two against each other.
_ORDINARY: Final = re.compile(
    rf"({_ATOM}(?:\.{_ATOM})*)@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.)+[A-Za-z]{{2,63}})"
)
_RESERVED_DOMAINS: Final = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)
# Addresses that may differ from their key by more than case.
_FOLDS_FURTHER: Final = re.compile(r'[^\x00-\x7f]|"|\.\.|\.@|^\.')
# Characters that cannot be seen; they come along when an address is copied from a page or a mail.
_INVISIBLE: Final = "".join(
    map(chr, [0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x180E, 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF])
) + "".join(map(chr, [*range(0x202A, 0x202F), *range(0x2060, 0x2065), *range(0x2066, 0x2070)]))
_SPACES: Final = "\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_NOT_SEEN: Final = re.compile(f"[{_INVISIBLE}{_SPACES}]")
_AROUND: Final = _INVISIBLE + _SPACES + " \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85"


class InvalidAddress(ValueError):
    """The text is no address we can send to; the message says why."""


class Mailbox(Struct, frozen=True):
    """A display name (may be empty) and a bare address."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        if not self.name:
            return self.address
        if _NAME_NEEDS_QUOTES.search(self.name):
            escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}" <{self.address}>'
        return f"{self.name} <{self.address}>"

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def breaks_header(text: str) -> bool:
    """True if the text holds a line break, or an encoded word that can hide one: it could split a header in two."""
    return _HEADER_BREAK.search(text) is not None


def trimmed(text: str) -> str:
    """The text without the white space and the invisible characters around it."""
    return text.strip() if text.isascii() else text.strip(_AROUND)


def check_address(text: str) -> str:
    """The address in the form to send to: trimmed, domain in lower-case ASCII, quotes only where they are needed.

    Raises InvalidAddress.
    """
    match = _ORDINARY.fullmatch(text) if len(text) <= MAX_ADDRESS else None
    if match and len(match[1]) <= MAX_LOCAL_PART and "--" not in match[2]:
        domain = match[2].lower()
        if domain.rpartition(".")[2] not in _RESERVED_DOMAINS:
            return f"{match[1]}@{domain}"
    return _check_extraordinary(text.strip(" \t"))


def _check_extraordinary(text: str) -> str:
    if not text:
        raise InvalidAddress("an address is needed")
    if len(text) > MAX_ADDRESS:
        raise InvalidAddress(f"an address has at most {MAX_ADDRESS} characters")
    if hidden := _NOT_SEEN.search(text):
        raise InvalidAddress(f"holds a character that cannot be seen, {_named(hidden[0])}; take it out")
    if text.startswith('"'):
        return _check_quoted(text)
    local, _, domain = text.rpartition("@")
    if not local or not domain:
        raise InvalidAddress("an address has something before its @-sign and a domain after it, as bo@example.org")
    try:
        checked = validate_email(text, check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError as error:
        raise InvalidAddress(_with_advice(text, str(error))) from None
    if "." not in (checked.ascii_domain or ""):
        raise InvalidAddress("the part after the @-sign needs a dot")
    return f"{checked.ascii_local_part}@{checked.ascii_domain}"


def _check_quoted(text: str) -> str:
    local, at, domain = text.rpartition("@")
    inside = local[1:-1]
    if not at or len(local) < 3 or not local.endswith('"') or not _ATOMS_AND_DOTS.fullmatch(inside):
        raise InvalidAddress("in quotes before the @-sign stand letters, digits, dots and !#$%&'*+-/=?^_`{|}~ only")
    if _DOT_ATOM.fullmatch(inside):
        return check_address(f"{inside}@{domain}")
    if len(local) > MAX_LOCAL_PART:
        raise InvalidAddress(f"at most {MAX_LOCAL_PART} characters stand before the @-sign")
    return f"{local}@{check_address(f'a@{domain}').rpartition('@')[2]}"


def _with_advice(text: str, refusal: str) -> str:
    local, _, domain = text.rpartition("@")
    if _ATOMS_AND_DOTS.fullmatch(local) and not _DOT_ATOM.fullmatch(local):
        return f'such dots need quotes; write "{local}"@{domain}'
    return refusal


def _named(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def fold(address: str) -> str:
    """The key under which two spellings of one address are the same: `Bo@X.org` and `bo@x.org` get one mail.

    Providers' events may spell an address differently: with the domain in Unicode, with or without quotes. An address
    from `check_address` has the same key in every version of Mailroom.
    """
    return _folded(address) if len(address) <= MAX_ADDRESS else _folded_anew(address)


def _folded_anew(address: str) -> str:
    folded = address.strip().lower()
    return folded if _FOLDS_FURTHER.search(folded) is None else _folded_further(folded)


# Planning asks several times for each recipient of a chunk. Longer texts are no addresses: they would fill the memory.
_folded = lru_cache(maxsize=4_096)(_folded_anew)


@lru_cache(maxsize=1_024)
def _folded_further(address: str) -> str:
    local, _, domain = address.rpartition("@")
    if not local or not domain or len(address) > MAX_ADDRESS:
        return address
    if local.startswith('"') and local.endswith('"') and len(local) > 2:
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    if not _DOT_ATOM.fullmatch(local) and local.isascii():
        escaped = local.replace("\\", "\\\\").replace('"', '\\"')
        local = f'"{escaped}"'
    if not domain.isascii():
        with suppress(InvalidAddress):  # no mail can have gone to such a domain
            domain = check_address(f"a@{domain}").rpartition("@")[2]
    return f"{local}@{domain}"


@lru_cache(maxsize=4_096)  # the same few senders recur, among many recipients
def parse_mailbox(text: str) -> Mailbox:
    """`Ann <ann@example.com>` or a bare address; the name stays as written. Raises InvalidAddress."""
    if breaks_header(text):
        raise InvalidAddress(NOT_IN_A_HEADER)
    if len(text) > MAX_MAILBOX:
        raise InvalidAddress(f"at most {MAX_MAILBOX} characters")
    if _PROVIDERS_OWN.search(text):
        raise InvalidAddress("%recipient is the provider's own substitution; it is not allowed here")
    text = trimmed(text)
    written, bracket, address = text.removesuffix(">").rpartition("<")
    if bool(bracket) != text.endswith(">") or address.count("@") != 1:
        raise InvalidAddress(_ONE_ADDRESS)
    # The address as written: email.utils drops characters that are not allowed, and the mail would reach somebody else.
    address = check_address(address)
    mailbox = Mailbox(address, name_of(written.strip(), address))
    check_written(mailbox)
    return mailbox


def parse_mailboxes(text: str) -> list[Mailbox]:
    """One mailbox, or several with commas or semicolons between them. Raises InvalidAddress."""
    if len(text) > MAX_REPLY_TO * MAX_MAILBOX:
        raise InvalidAddress(f"at most {MAX_REPLY_TO} addresses")
    pieces = [piece for piece, _ in pieces_of(text) if piece.strip()]
    if len(pieces) > MAX_REPLY_TO:
        raise InvalidAddress(f"at most {MAX_REPLY_TO} addresses")
    mailboxes = [parse_mailbox(piece) for piece in pieces or [text]]
    return list({fold(mailbox.address): mailbox for mailbox in reversed(mailboxes)}.values())[::-1]


def written_as_list(mailboxes: list[Mailbox]) -> str:
    """The mailboxes as the value of one header; `parse_mailboxes` reads it back."""
    return ", ".join(map(str, mailboxes))


_MARKS: Final = re.compile(r'\\.|(?:"")+|"|[,;]+', re.DOTALL)


def pieces_of(line: str) -> Iterator[tuple[str, str]]:
    """The parts of a line between commas and semicolons outside quotes, each with the separators after it. The cost
    grows only with the length. Raises InvalidAddress for a quotation mark that is not closed."""
    if '"' not in line:
        yield from ((match[1], match[2]) for match in re.finditer(r"([^,;]+)([,;]*)", line))
        return
    begin, quoted = 0, False
    for mark in _MARKS.finditer(line):
        if mark[0] == '"':
            quoted = not quoted
        elif mark[0][0] in ",;" and not quoted:
            yield line[begin : mark.start()], mark[0]
            begin = mark.end()
    if quoted:
        raise InvalidAddress("a quotation mark is opened and not closed")
    yield line[begin:], ""


def name_of(written: str, address: str, *, with_commas: bool = False) -> str:
    """The display name written before `<address>`, without its quotes. `with_commas`: commas are allowed, because the
    caller has already split the addresses. Raises InvalidAddress if the text may be more than a name."""
    if _QUOTED.fullmatch(written):
        return re.sub(r"\\(.)", r"\1", written[1:-1]).strip()
    if (_ADDRESS_IN_NAME if with_commas else _LIST_IN_NAME).search(written) and fold(written) != fold(address):
        raise InvalidAddress(_IN_QUOTES)
    if _QUOTED.sub("", written).count('"'):
        raise InvalidAddress("a quotation mark is opened and not closed")
    return written


def check_written(mailbox: Mailbox) -> None:
    """Raises InvalidAddress unless the written mailbox reads back as the same value: quoting can hide text that a
    header must not hold."""
    text = str(mailbox)
    if len(text) > MAX_MAILBOX:
        raise InvalidAddress(f"at most {MAX_MAILBOX} characters")
    if breaks_header(text):
        raise InvalidAddress(NOT_IN_A_HEADER)
    if _PROVIDERS_OWN.search(text):
        raise InvalidAddress("%recipient is the provider's own substitution; it is not allowed in a name")
    if mailbox.name and getaddresses([text]) != [(mailbox.name, mailbox.address)]:
        raise InvalidAddress("this name cannot be written before an address")
