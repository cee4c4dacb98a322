"""The DNS records that a sending domain needs, by provider, and advice about missing ones. Pure: answers in, words out.

Sources, read 2026-11: RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC), RFC 7505 (null MX), and the vendors' pages
about authenticating a domain.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class SendingDomain:
    """A domain for which a provider may send. `selector`: of its DKIM key; '' if it is not known."""

    provider: str
    domain: str
    selector: str = ""

    @property
    def reserved(self) -> bool:
        """True for a name that exists for examples and tests only (RFC 2606): it is in no DNS."""
        return f".{self.domain}".endswith(_RESERVED)


class RecordType(StrEnum):
    TXT = "TXT"
    MX = "MX"
    CNAME = "CNAME"


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    name: str
    type: RecordType


# Records as text; () if there are none, None without an answer.
Answers = Mapping[DnsQuestion, Sequence[str] | None]


class Verdict(StrEnum):
    OK = "ok"
    ADVICE = "advice"  # mail arrives without it
    WRONG = "wrong"
    UNKNOWN = "unknown"  # DNS did not answer


@dataclass(frozen=True, slots=True)
class DnsFinding:
    """`what`: SPF, DKIM, DMARC or MX. `words`: what was found, and what to set."""

    what: str
    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True)
class _Wants:
    """What a vendor needs. `selectors`: of its DKIM keys; () if it makes one for each domain. `include`: in the SPF
    record of the domain, or of its subdomain `spf_at`; '' if the vendor's own return path has one. `return_path`: a
    CNAME below the domain that lets SPF align."""

    selectors: tuple[str, ...] = ()
    include: str = ""
    spf_at: str = ""
    return_path: tuple[str, str] | None = None


_WANTS: Final[Mapping[str, _Wants]] = {
    "mailgun": _Wants(("pdk1", "pdk2", "mx", "k1", "smtp", "pic", "mailo", "krs", "s1"), include="mailgun.org"),
    "sendgrid": _Wants(("s1", "s2")),
    "ses": _Wants(),
    "postmark": _Wants(return_path=("pm-bounces", "pm.mtasv.net")),
    "resend": _Wants(("resend",), include="amazonses.com", spf_at="send"),
    "smtp": _Wants(),
}
_RESERVED: Final = (".example", ".test", ".invalid", ".localhost", ".example.com", ".example.net", ".example.org")
_NO_ANSWER: Final = "DNS did not answer"


def may_send(domains: Sequence[SendingDomain], providers: Sequence[str], sender_domain: str) -> bool | None:
    """True if one of the providers is known to send for this From domain: for it, for a domain above it, or below it,
    so that DMARC aligns. None if nothing is known of one of them."""
    if any(_align(known.domain, sender_domain.lower()) for known in domains):
        return True
    return False if set(providers) <= {known.provider for known in domains} else None


def questions(known: SendingDomain) -> list[DnsQuestion]:
    """The questions to DNS about this domain."""
    wants, domain = _WANTS[known.provider], known.domain
    asked = [DnsQuestion(_key_name(selector, domain), RecordType.TXT) for selector in _selectors(known)]
    asked += [DnsQuestion(name, RecordType.TXT) for name in _dmarc_names(domain)]
    asked += [DnsQuestion(domain, RecordType.MX), DnsQuestion(_spf_name(known), RecordType.TXT)]
    if wants.return_path:
        asked.append(DnsQuestion(f"{wants.return_path[0]}.{domain}", RecordType.CNAME))
    return asked


def judge(known: SendingDomain, answers: Answers) -> list[DnsFinding]:
    """The findings about this domain, from the answers to its questions."""
    return [_spf(known, answers), _dkim(known, answers), _dmarc(known, answers), _mx(known, answers)]


def _spf(known: SendingDomain, answers: Answers) -> DnsFinding:
    wants, name = _WANTS[known.provider], _spf_name(known)
    if wants.return_path:
        return _return_path(known, *wants.return_path, answers)
    if not wants.include and known.provider != "smtp":
        return DnsFinding("SPF", Verdict.OK, f"{known.provider} has it on its own return path")
    found = answers.get(DnsQuestion(name, RecordType.TXT))
    if found is None:
        return DnsFinding("SPF", Verdict.UNKNOWN, _NO_ANSWER)
    records = [record for record in found if record.lower().split(" ")[0] == "v=spf1"]
    mechanism = f"include:{wants.include}" if wants.include else "a:YOUR.MAIL.SERVER"
    if not records:
        return DnsFinding("SPF", Verdict.WRONG, f'none; set TXT {name} to "v=spf1 {mechanism} ~all"')
    if len(records) > 1:
        return DnsFinding("SPF", Verdict.WRONG, f"{len(records)} records at {name}, which counts as none; join them")
    terms = records[0].lower().split()
    if {"all", "+all"} & set(terms):
        return DnsFinding("SPF", Verdict.WRONG, f"the record at {name} lets everybody send; end it with ~all")
    if wants.include and not any(_includes(term, wants.include) for term in terms):
        return DnsFinding("SPF", Verdict.WRONG, f"the record at {name} lacks {mechanism}; add it")
    return DnsFinding("SPF", Verdict.OK, f"at {name}")


def _return_path(known: SendingDomain, label: str, target: str, answers: Answers) -> DnsFinding:
    name = f"{label}.{known.domain}"
    found = answers.get(DnsQuestion(name, RecordType.CNAME))
    if found is None:
        return DnsFinding("SPF", Verdict.UNKNOWN, _NO_ANSWER)
    if target in [record.lower().rstrip(".") for record in found]:
        return DnsFinding("SPF", Verdict.OK, f"by the return path {name}")
    words = f"{known.provider} has it on its own return path; to have it aligned, set CNAME {name} to {target}"
    return DnsFinding("SPF", Verdict.ADVICE, words)


def _dkim(known: SendingDomain, answers: Answers) -> DnsFinding:
    selectors, provider = _selectors(known), known.provider
    naming = f"MAILROOM_SENDING_DOMAINS={provider}={known.domain}/SELECTOR"
    if not selectors:
        own = "your server's selector" if provider == "smtp" else f"the selector that {provider} made for this domain"
        return DnsFinding("DKIM", Verdict.ADVICE, f"not looked at: name {own}: {naming}")
    found = {
        selector: answers.get(DnsQuestion(_key_name(selector, known.domain), RecordType.TXT)) for selector in selectors
    }
    keys = [selector for selector, records in found.items() if any(map(_is_key, records or ()))]
    if keys:
        return DnsFinding("DKIM", Verdict.OK, f"a key at {_key_name(keys[0], known.domain)}")
    if None in found.values():
        return DnsFinding("DKIM", Verdict.UNKNOWN, _NO_ANSWER)
    if known.selector or len(selectors) == 1:
        name = _key_name(selectors[0], known.domain)
        return DnsFinding("DKIM", Verdict.WRONG, f"no key at {name}; set there what {provider} shows for it")
    tried = ", ".join(selectors)
    words = f"no key at the usual selectors ({tried}); set what {provider} shows, or name another one: {naming}"
    return DnsFinding("DKIM", Verdict.WRONG, words)


def _dmarc(known: SendingDomain, answers: Answers) -> DnsFinding:
    for name in _dmarc_names(known.domain):
        found = answers.get(DnsQuestion(name, RecordType.TXT))
        if found is None:
            return DnsFinding("DMARC", Verdict.UNKNOWN, _NO_ANSWER)
        records = [record for record in found if record.lower().replace(" ", "").split(";")[0] == "v=dmarc1"]
        if len(records) > 1:
            return DnsFinding(
                "DMARC", Verdict.WRONG, f"{len(records)} records at {name}, which counts as none; keep one"
            )
        if records:
            return DnsFinding("DMARC", Verdict.OK, f"at {name}")
    name = _dmarc_names(known.domain)[0]
    return DnsFinding("DMARC", Verdict.WRONG, f'none; set TXT {name} to "v=DMARC1; p=none; rua=mailto:YOU@YOUR.DOMAIN"')


def _mx(known: SendingDomain, answers: Answers) -> DnsFinding:
    found = answers.get(DnsQuestion(known.domain, RecordType.MX))
    if found is None:
        return DnsFinding("MX", Verdict.UNKNOWN, _NO_ANSWER)
    hosts = [record.split()[-1].rstrip(".") for record in found]
    if hosts == [""]:
        words = "a null MX: many receivers refuse mail from a domain that takes none; name a mail server, or remove it"
        return DnsFinding("MX", Verdict.WRONG, words)
    if not hosts:
        return DnsFinding("MX", Verdict.ADVICE, f"none: replies to {known.domain} are lost; name a mail server")
    return DnsFinding("MX", Verdict.OK, f"mail goes to {', '.join(sorted(hosts))}")


def _selectors(known: SendingDomain) -> tuple[str, ...]:
    return (known.selector,) if known.selector else _WANTS[known.provider].selectors


def _key_name(selector: str, domain: str) -> str:
    return f"{selector}._domainkey.{domain}"


def _spf_name(known: SendingDomain) -> str:
    below = _WANTS[known.provider].spf_at
    return f"{below}.{known.domain}" if below else known.domain


def _dmarc_names(domain: str) -> list[str]:
    """The domain's own policy, then those of the domains above it, without the top-level domain."""
    return [f"_dmarc.{name}" for name in _with_parents(domain)]


def _with_parents(domain: str) -> Iterator[str]:
    while "." in domain:
        yield domain
        domain = domain.partition(".")[2]


def _includes(term: str, wanted: str) -> bool:
    """`eu.mailgun.org` is as good as `mailgun.org`."""
    kind, _, name = term.lstrip("+").partition(":")
    return kind == "include" and f".{name}".endswith(f".{wanted}")


def _is_key(record: str) -> bool:
    """A key without a value is revoked."""
    tags = [tag.strip().partition("=") for tag in record.split(";")]
    return any(name.strip() == "p" and value.strip() for name, _, value in tags)


def _align(known: str, sender_domain: str) -> bool:
    return f".{sender_domain}".endswith(f".{known}") or f".{known}".endswith(f".{sender_domain}")
