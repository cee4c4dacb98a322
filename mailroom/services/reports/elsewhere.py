"""How many single mails went elsewhere while a call was in doubt, and how many of them went twice. Counted apart from
everything else: only their callers' choice allows a second call."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from mailroom.domain.dispatches.elsewhere import WentTwice, went_twice
from mailroom.domain.dispatches.model import Dispatch
from mailroom.storage.database import Db
from mailroom.storage.dispatches import elsewhere as dispatch_elsewhere
from mailroom.storage.dispatches.exclusions import BY_EVENTS

_A_PAGE: Final = 1_000


def count(db: Db, *, most: int | None = None) -> dict[WentTwice, int]:
    """The mails that went elsewhere, by whether they went twice; one dispatch is read for each. Exact, unless there are
    more than `most`. Raises Unavailable."""
    counts: Counter[WentTwice] = Counter()
    after = ""
    while (most is None or counts.total() < most) and (
        page := dispatch_elsewhere.firsts(db, after=after, limit=_A_PAGE)
    ):
        accepted = dispatch_elsewhere.accepted_of(db, [first.id for first in page])
        counts.update(_verdict(first, second_accepted=first.id in accepted) for first in page)
        after = page[-1].elsewhere or ""
    return {verdict: counts[verdict] for verdict in WentTwice}


def went_twice_of(dispatches: Sequence[Dispatch]) -> WentTwice | None:
    """Whether a mail with these dispatches went twice; None if it did not go elsewhere."""
    accepted = {dispatch.elsewhere_of for dispatch in dispatches if _by_provider(dispatch)}
    found = {_verdict(d, second_accepted=d.id in accepted) for d in dispatches if d.elsewhere}
    return next((verdict for verdict in (WentTwice.YES, WentTwice.MAYBE, WentTwice.NO) if verdict in found), None)


def _verdict(first: Dispatch, *, second_accepted: bool) -> WentTwice:
    return went_twice(first=first.state, first_accepted=bool(first.accepted), second_accepted=second_accepted)


def _by_provider(dispatch: Dispatch) -> bool:
    """True unless only events of the other call show that its recipients have the mail."""
    return any(fact.by != BY_EVENTS for fact in dispatch.accepted)
