"""Look records up in DNS, many at once and within a bounded time. Nothing is raised: no answer is None."""

import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

from mailroom.domain.sending_domains import Answers, DnsQuestion

WITHIN_S: Final = 4.0  # all questions together
_AT_ONCE: Final = 16


def look_up(
    asked: Collection[DnsQuestion], servers: Sequence[tuple[str, int]] = (), *, within_s: float = WITHIN_S
) -> Answers:
    """The records of each name, as text. `servers`: addresses and ports of DNS servers; (): those of this host."""
    distinct = list(dict.fromkeys(asked))
    if not distinct:
        return {}
    ends_at = time.monotonic() + within_s
    pool = ThreadPoolExecutor(min(_AT_ONCE, len(distinct)), thread_name_prefix="dns")
    try:
        answers = {question: pool.submit(_records, question, servers, ends_at) for question in distinct}
        wait(answers.values(), timeout=within_s + 1)
        return {question: answer.result() if answer.done() else None for question, answer in answers.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _records(question: DnsQuestion, servers: Sequence[tuple[str, int]], ends_at: float) -> Sequence[str] | None:
    # Here: every process imports this module, and few look at DNS.
    from dns.exception import DNSException
    from dns.nameserver import Do53Nameserver
    from dns.rdtypes.ANY.TXT import TXT
    from dns.resolver import NXDOMAIN, NoAnswer, Resolver

    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        return None
    try:
        resolver = Resolver(configure=not servers)
        if servers:
            resolver.nameservers = [Do53Nameserver(address, port) for address, port in servers]
        found = resolver.resolve(f"{question.name}.", question.type.value, lifetime=left_s)
    except (NXDOMAIN, NoAnswer):
        return ()
    except (DNSException, OSError, ValueError):
        return None
    # A TXT record is cut into strings of 255 bytes, which belong together. Servers shuffle the records of an answer.
    return sorted(
        b"".join(record.strings).decode("utf-8", "replace") if isinstance(record, TXT) else record.to_text()
        for record in found
    )
