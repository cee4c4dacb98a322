"""Check the sending domains' records in DNS, and the From domains of schedules against them."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailroom.domain.addresses import InvalidAddress, parse_mailbox
from mailroom.domain.sending_domains import DnsFinding, SendingDomain, judge, may_send, questions
from mailroom.domain.shares import domain_of
from mailroom.providers.dns_records import look_up


@dataclass(frozen=True, slots=True)
class CheckedDomain:
    """A sending domain, and what DNS has of it. A reserved name is in no DNS, and has no findings."""

    known: SendingDomain
    findings: Sequence[DnsFinding]


def check(domains: Sequence[SendingDomain], servers: Sequence[tuple[str, int]]) -> list[CheckedDomain]:
    """Look all domains up, within a few seconds. `servers`: DNS servers; (): those of this host."""
    asked = [question for known in domains if not known.reserved for question in questions(known)]
    answers = look_up(asked, servers)
    return [CheckedDomain(known, [] if known.reserved else judge(known, answers)) for known in domains]


def warning(domains: Sequence[SendingDomain], providers: Sequence[str], sender: str) -> str:
    """Why mail from this sender may not arrive; '' without a reason. `sender`: as written in a form."""
    try:
        domain = domain_of(parse_mailbox(sender).address)
    except InvalidAddress:
        return ""
    if may_send(domains, providers, domain) is not False:
        return ""
    known = ", ".join(sorted({f"{one.domain} ({one.provider})" for one in domains}))
    return f"No provider is set up to send for {domain}: emails from it may be refused. Set up: {known}."
