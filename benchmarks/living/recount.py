"""What each recipient really got: every copy is read back from the witness, and held to its row of the file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.living.rows import row_of
from mailroom.domain.unsubscribe_links import UnsubscribeLinks
from tests.support.own_links import is_own, link_in
from tests.support.system import Simulator

_SHOWN: Final = 3


@dataclass(slots=True)
class Recount:
    """How many copies there are, and of how many something is wrong; some of those."""

    copies: int = 0
    doubled: int = 0
    not_of_the_segment: int = 0
    subjects_wrong: int = 0
    texts_wrong: int = 0
    html_wrong: int = 0
    links_wrong: int = 0  # not one link of the reader's own in the header, and the same in both bodies
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def faults(self) -> int:
        wrong = self.subjects_wrong + self.texts_wrong + self.html_wrong + self.links_wrong
        return wrong + self.doubled + self.not_of_the_segment


def recount(simulator: Simulator, links: UnsubscribeLinks, *, topic: str, advance: Callable[[int], None]) -> Recount:
    found, seen = Recount(), set[int]()
    for copy in simulator.each_copy():
        before = found.faults
        found.copies += 1
        row = row_of(copy["recipient"])
        found.doubled += row.number in seen
        seen.add(row.number)
        found.not_of_the_segment += not row.in_segment
        link = link_in(copy["headers"])
        found.links_wrong += not is_own(links, link, address=copy["recipient"], topic=topic)
        found.subjects_wrong += copy["subject"] != row.subject()
        found.texts_wrong += copy["text"] != row.text(link)
        found.html_wrong += copy["html"] != row.html(link)
        if found.faults > before and len(found.examples) < _SHOWN:
            found.examples.append(copy)
        advance(1)
    return found
