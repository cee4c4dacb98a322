"""Every copy as its recipient reads it, whoever carried it, and what is wrong with it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mailroom.domain.unsubscribe_links import UnsubscribeLinks
from tests.support.own_links import is_own, link_in

TOPIC: Final = "newsletter"
LINKED: Final = {
    "subject": "{{ mark }}",
    "text": "Hello {{ name }}. Leave: {{ unsubscribe_url }}",
    "html": '<p>Hello {{ name }}</p><a href="{{ unsubscribe_url }}">Leave</a>',
}
_ONE_CLICK: Final = "List-Unsubscribe=One-Click"
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Copy:
    provider: str
    recipient: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Recount:
    """How many copies each provider carried, how many recipients got none or more than one, and how many copies have a
    fault, with some of those."""

    copies: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[Copy] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


def recount(
    copies: Iterable[Copy], links: UnsubscribeLinks, *, recipients: int, advance: Callable[[int], None]
) -> Recount:
    found, times = Recount(), Counter[str]()
    for copy in copies:
        found.copies[copy.provider] += 1
        times[copy.recipient] += 1
        faults = faults_of(copy, links)
        found.wrong.update(faults)
        if faults and len(found.examples) < _SHOWN:
            found.examples.append(copy)
        advance(1)
    found.doubled = sum(count - 1 for count in times.values())
    found.lost = sum(f"reader-{number}@example.org" not in times for number in range(recipients))
    return found


def faults_of(copy: Copy, links: UnsubscribeLinks) -> list[str]:
    """What in this copy is not its recipient's own."""
    number = copy.recipient.removeprefix("reader-").partition("@")[0]
    name, link = f"Reader {number}", link_in(copy.headers)
    right = {
        "link": is_own(links, link, address=copy.recipient, topic=TOPIC),
        "one click": copy.headers.get("List-Unsubscribe-Post") == _ONE_CLICK,
        "list": copy.headers.get("List-Id") == f"<{TOPIC}.mg.example.com>",
        "subject": copy.subject == f"mark-{number}",
        "text": copy.text.strip() == f"Hello {name}. Leave: {link}",
        "html": copy.html.strip() == f'<p>Hello {name}</p><a href="{link}">Leave</a>',
    }
    return [what for what, well in right.items() if not well]
