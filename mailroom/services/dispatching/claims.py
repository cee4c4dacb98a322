"""Waiting dispatches of held lanes, and their claims: step 2 of the protocol, in bulk."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailroom.domain.dispatches.model import Claim, Claimed
from mailroom.domain.emails.model import Rank
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import ClaimId, Lane, Token, new_claim_id
from mailroom.services.dispatching.lanes import open_runs_not_held
from mailroom.storage import holds, lanes
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.dispatches import claims as dispatch_claims
from mailroom.storage.holds import NOTHING_HELD, OnHold


@dataclass(frozen=True, slots=True)
class Waiting:
    """Dispatches of held lanes that could be claimed now, as the store shows them, the most urgent first."""

    dispatches: Sequence[Mapping[str, Any]] = ()
    alone: bool = False  # one that goes alone, and nothing beside it

    def __len__(self) -> int:
        return len(self.dispatches)

    @property
    def by_lane(self) -> dict[Lane, list[Mapping[str, Any]]]:
        found: dict[Lane, list[Mapping[str, Any]]] = {}
        for doc in self.dispatches:
            found.setdefault(Lane(doc["lane"]), []).append(doc)
        return found

    def first(self, most: int) -> "Waiting":
        return Waiting(self.dispatches[:most], self.alone)

    def after(self, count: int) -> "Waiting":
        return Waiting(self.dispatches[count:], self.alone)


@dataclass(frozen=True, slots=True)
class Room:
    """For how much there is room: dispatches, and bytes of single mails' bodies, those of high priority apart."""

    dispatches: int
    bytes: int
    urgent_bytes: int


def claimable(
    db: Db,
    held: Mapping[Lane, Token],
    *,
    now: datetime,
    room: Room,
    down_to: Rank = Rank.CAMPAIGN,
    on_hold: OnHold = NOTHING_HELD,
) -> Waiting:
    """Dispatches of the held lanes that could be claimed now, by rank, none of a lower one than `down_to`; none of a
    lane that waits, and none that goes alone. Raises Unavailable.

    `on_hold`: what was held a moment ago; it saves useless reads, and the claim itself checks again.
    """
    if on_hold.everything:
        return Waiting()
    mixed = on_hold.lanes & held.keys()
    most: Any = {"limit": room.dispatches, "down_to": down_to}
    ready = [lane for lane in held if lane not in mixed]
    found = dispatch_claims.claimable(db, ready, now=now, **most)
    if (found or mixed) and (waiting := lanes.waiting(db, now=now)):
        mixed -= waiting.keys()
        ready = [lane for lane in ready if lane not in waiting]
        found = dispatch_claims.claimable(db, ready, now=now, **most)
    if going := open_runs_not_held(db, on_hold, mixed) if mixed else []:
        others = dispatch_claims.claimable_of_runs(db, going, now=now, **most)
        found = dispatch_claims.most_urgent([*found, *others], room.dispatches)
    return Waiting(list(_that_fit(found, room)))


def _that_fit(found: Sequence[Mapping[str, Any]], room: Room) -> Iterator[Mapping[str, Any]]:
    """Each as long as there is any room left before it, so that none is too large for ever."""
    left = {True: room.urgent_bytes, False: room.bytes}
    for doc in found:
        size, urgent = doc.get("size", 0), doc.get("rank") == Rank.HIGH
        if not size or left[urgent] > 0:
            left[urgent] -= size
            yield doc


def claimable_alone(db: Db, held: Mapping[Lane, Token], *, now: datetime, on_hold: OnHold = NOTHING_HELD) -> Waiting:
    """At most one dispatch, one that was in hand at several crashes: to be claimed only while nothing else is in hand.

    Raises Unavailable.
    """
    if on_hold.everything:
        return Waiting()
    ready = sorted(set(held) - lanes.waiting(db, now=now).keys())
    return Waiting(
        dispatch_claims.claimable_alone(db, ready, now=now, leave_out=sorted(on_hold.runs)),
        alone=True,
    )


def claim(
    db: Db,
    waiting: Waiting,
    held: Mapping[Lane, Token],
    *,
    redis_identity: str,
    sender: str,
    provider: str,
    account: str,
    now: datetime,
) -> list[Claimed]:
    """Move these dispatches of lanes in hand to `sending`, except those on hold. Raises StaleToken, Unavailable.

    After Unavailable some may be claimed unseen: they are found as abandoned, by us or by others.
    """
    by_lane = waiting.by_lane
    made = {lane: Claim(new_claim_id(), lane, held[lane], sender, redis_identity) for lane in by_lane}
    claims: Wanted = {made[lane].id: (made[lane], docs) for lane, docs in by_lane.items()}

    asked = {EVERYTHING, *(doc["run_id"] for doc in waiting.dispatches if "schedule_id" in doc)}

    def work(session: Session) -> int:
        with lanes.under(db, {lane: held[lane] for lane in by_lane}, session) as guard:
            on_hold = holds.held_among(db, asked, session=session)
            going = _not_held(claims, on_hold) if on_hold else claims
            return dispatch_claims.claim(db, going, provider, account, now=now, guard=guard)

    if in_transaction(db, work) == len(waiting):
        return [
            dispatch_claims.as_claimed(doc, made[Lane(doc["lane"])], provider, account, now)
            for doc in waiting.dispatches
        ]
    return dispatch_claims.claimed(db, {claim.id: claim for claim in made.values()})


Wanted = dict[ClaimId, tuple[Claim, list[Mapping[str, Any]]]]


def _not_held(claims: Wanted, on_hold: Collection[str]) -> Wanted:
    if EVERYTHING in on_hold:
        return {}
    return {id_: (claim, [d for d in docs if d["run_id"] not in on_hold]) for id_, (claim, docs) in claims.items()}
