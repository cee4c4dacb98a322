"""Read the shares of the providers: `mailgun=70,ses=30; gmail.com: ses=100`.

Parts stand between semicolons. A part that begins with a domain and a colon holds for mail to this domain, and the part
without one for all other mail.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

Weights = Mapping[str, int]  # by provider
MAX_WEIGHT: Final = 1_000
MAX_DOMAINS: Final = 20  # each may add a call to a batch
OTHERS: Final = ""  # in place of a domain: all mail without a part of its own
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def read_shares(text: str, providers: Collection[str]) -> tuple[dict[str, Weights], list[str]]:
    """The weights by the recipient's domain, and every fault of the text. `providers`: those that are configured."""
    shares: dict[str, Weights] = {}
    faults: list[str] = []
    for part in filter(None, map(str.strip, text.split(";"))):
        before, colon, after = part.partition(":")
        domain = before.strip().lower() if colon else OTHERS
        if colon and not _DOMAIN.fullmatch(domain):
            faults.append(f'"{before.strip()}" is no domain, such as gmail.com')
        if domain in shares:
            faults.append(f"{domain or 'the part without a domain'} is named twice")
        shares[domain] = _weights(after if colon else part, providers, faults)
    if len(shares.keys() - {OTHERS}) > MAX_DOMAINS:
        faults.append(f"more than {MAX_DOMAINS} domains")
    return shares, faults


def _weights(text: str, providers: Collection[str], faults: list[str]) -> Weights:
    weights: dict[str, int] = {}
    for entry in map(str.strip, text.split(",")):
        name, _, number = (piece.strip() for piece in entry.partition("="))
        if not re.fullmatch(r"[0-9]{1,4}", number) or not 1 <= int(number) <= MAX_WEIGHT:
            faults.append(f'"{entry}" is no share, such as mailgun=70 (whole numbers from 1 to {MAX_WEIGHT})')
            continue
        if name not in providers:
            faults.append(f'"{name}" is not in MAILROOM_PROVIDERS')
        if name in weights:
            faults.append(f'"{name}" is named twice in "{text.strip()}"')
        weights[name] = int(number)
    return weights
