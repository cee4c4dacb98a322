"""Claim waiting dispatches of held lanes, in bulk: step 2 of the protocol."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailroom.domain.dispatches.model import Claim, Claimable, Claimant, Claimed, InQueue, under_claim
from mailroom.domain.emails.model import Rank
from mailroom.domain.failover import stands_aside_for
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import DispatchId, Lane, Token, new_claim_id
from mailroom.services.dispatching.lanes import open_runs_not_held
from mailroom.storage import holds, lanes
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.dispatches import claims as dispatch_claims
from mailroom.storage.dispatches.claims import ClaimedTogether
from mailroom.storage.holds import NOTHING_HELD, OnHold


@dataclass(frozen=True, slots=True)
class Waiting:
    """Dispatches of held lanes that could be claimed now, the most urgent first."""

    dispatches: Sequence[Claimable] = ()
    alone: bool = False  # the dispatch goes alone, without any other in flight
    more: bool = False  # others may be due after these: there is no room for them
    lanes_left_out: bool = False  # held lanes wait, or runs in them are on hold: these are not all that is due

    def __len__(self) -> int:
        return len(self.dispatches)

    @property
    def by_lane(self) -> dict[Lane, list[Claimable]]:
        lanes: dict[Lane, list[Claimable]] = {}
        for dispatch in self.dispatches:
            lanes.setdefault(dispatch.lane, []).append(dispatch)
        return lanes

    @property
    def of_few(self) -> "Waiting":
        """Those that may go by some providers only: mails that went elsewhere."""
        return replace(self, dispatches=[one for one in self.dispatches if one.among])

    def in_lanes(self, lanes: Collection[Lane]) -> "Waiting":
        """Those in these lanes."""
        return replace(self, dispatches=[one for one in self.dispatches if one.lane in lanes])

    def first(self, most: int) -> "Waiting":
        return replace(self, dispatches=self.dispatches[:most])

    def after(self, count: int) -> "Waiting":
        return replace(self, dispatches=self.dispatches[count:])


@dataclass(frozen=True, slots=True)
class Room:
    """Room for dispatches, and for the bytes of their bodies and files; high priority has bytes of its own."""

    dispatches: int
    bytes: int
    urgent_bytes: int


@dataclass(frozen=True, slots=True)
class DueSince:
    """Dispatches that became due at this time or later; with `more_urgent_than` only those before this rank."""

    since: datetime
    more_urgent_than: Rank | None = None


def claimable(
    db: Db,
    held: Mapping[Lane, Token],
    *,
    now: datetime,
    room: Room,
    down_to: Rank = Rank.CAMPAIGN,
    on_hold: OnHold = NOTHING_HELD,
) -> Waiting:
    """Dispatches of the held lanes that could be claimed now, by rank, none below the rank `down_to`. Without
    dispatches of lanes that wait, and without dispatches that go alone. Raises Unavailable.

    `on_hold`: recently read holds. They save useless reads; the claim itself checks again.
    """
    if on_hold.everything:
        return Waiting()
    mixed = on_hold.lanes & held.keys()
    most, lanes_left_out = room.dispatches, bool(mixed)
    ready = [lane for lane in held if lane not in mixed]
    dispatches = dispatch_claims.claimable(db, ready, now=now, limit=most, down_to=down_to)
    if (dispatches or mixed) and (waiting := waiting_lanes(db, held, now=now)):
        mixed, lanes_left_out = mixed - waiting, True
        ready = [lane for lane in ready if lane not in waiting]
        dispatches = dispatch_claims.claimable(db, ready, now=now, limit=most, down_to=down_to)
    if going := open_runs_not_held(db, on_hold, mixed) if mixed else []:
        others = dispatch_claims.claimable_of_runs(db, going, now=now, limit=most, down_to=down_to)
        dispatches = dispatch_claims.most_urgent([*dispatches, *others], most)
    fitting = list(_fitting(dispatches, room))
    more = len(dispatches) >= most or len(fitting) < len(dispatches)
    return Waiting(fitting, more=more, lanes_left_out=lanes_left_out)


def newly_due(
    db: Db,
    held: Mapping[Lane, Token],
    *,
    due: DueSince,
    now: datetime,
    room: Room,
    on_hold: OnHold = NOTHING_HELD,
) -> Waiting | None:
    """As `claimable`, of those that are `due` since then. None where these do not suffice: lanes wait or are on hold in
    part, or more has become due than there is room for. Raises Unavailable."""
    if on_hold.everything or on_hold.lanes & held.keys():
        return None
    most = room.dispatches + 1
    dispatches = dispatch_claims.newly_due(
        db, list(held), due_since=due.since, more_urgent_than=due.more_urgent_than, now=now, limit=most
    )
    fitting = list(_fitting(dispatches[: room.dispatches], room))
    if len(fitting) < len(dispatches) or (dispatches and waiting_lanes(db, held, now=now)):
        return None
    return Waiting(fitting)


def queue(db: Db, held: Mapping[Lane, Token], *, now: datetime, limit: int) -> list[InQueue]:
    """The places of the first `limit` dispatches that `claimable` finds where no lane waits and nothing is on hold.
    Raises Unavailable."""
    return dispatch_claims.queue(db, list(held), now=now, limit=limit)


def claimable_among(
    db: Db, ids: Sequence[DispatchId], held: Mapping[Lane, Token], *, now: datetime
) -> Sequence[Claimable]:
    """The dispatches among these that are pending, due and in a held lane, the most urgent first, without those that go
    alone. Waits of lanes (`waiting_lanes`) and holds (`claim`) are not looked at. Raises Unavailable."""
    return dispatch_claims.claimable_among(db, ids, held.keys(), now=now)


def most_urgent_within(dispatches: Sequence[Claimable], room: Room) -> Waiting:
    """The most urgent of these dispatches, as many as there is room for."""
    found = dispatch_claims.most_urgent(dispatches, room.dispatches)
    return Waiting(list(_fitting(found, room)))


def waiting_lanes(db: Db, held: Mapping[Lane, Token], *, now: datetime) -> set[Lane]:
    """The held lanes that wait: nothing of theirs may be claimed. Raises Unavailable."""
    return lanes.waiting(db, now=now).keys() & held.keys()


def _fitting(dispatches: Sequence[Claimable], room: Room) -> Iterator[Claimable]:
    """A dispatch fits while any room is left before it, so that no dispatch is too large for ever."""
    free_bytes = {True: room.urgent_bytes, False: room.bytes}
    for dispatch in dispatches:
        urgent = dispatch.rank is Rank.HIGH
        if not dispatch.size or free_bytes[urgent] > 0:
            free_bytes[urgent] -= dispatch.size
            yield dispatch


def claimable_alone(db: Db, held: Mapping[Lane, Token], *, now: datetime, on_hold: OnHold = NOTHING_HELD) -> Waiting:
    """At most one dispatch that was in flight at several crashes: to be claimed only while nothing else is in flight.

    Raises Unavailable.
    """
    if on_hold.everything:
        return Waiting()
    leave_out = sorted(on_hold.runs)
    alone = dispatch_claims.claimable_alone(db, sorted(held), now=now, leave_out=leave_out)
    if alone and (waiting := waiting_lanes(db, held, now=now)):
        alone = dispatch_claims.claimable_alone(db, sorted(held.keys() - waiting), now=now, leave_out=leave_out)
    return Waiting(alone, alone=True)


def claim(
    db: Db,
    waiting: Waiting,
    held: Mapping[Lane, Token],
    claimant: Claimant,
    *,
    now: datetime,
) -> list[Claimed]:
    """Claim these dispatches of held lanes, except those on hold: they move to `sending`. Returns the claimed ones.

    Raises StaleToken, Unavailable. After Unavailable dispatches may be claimed without our knowledge; a later
    take-over, ours or another sender's, finds them abandoned.
    """
    by_lane = waiting.by_lane
    claims = {
        lane: Claim(new_claim_id(), lane, held[lane], claimant.sender, claimant.redis_identity) for lane in by_lane
    }
    wanted = [ClaimedTogether(claims[lane], dispatches) for lane, dispatches in by_lane.items()]
    hold_ids = {EVERYTHING, *(dispatch.run_id for dispatch in waiting.dispatches if dispatch.schedule_id)}

    def work(session: Session) -> int:
        with lanes.under(db, {lane: held[lane] for lane in by_lane}, session) as guard:
            on_hold = holds.held_among(db, hold_ids, session=session)
            going = _not_held(wanted, on_hold) if on_hold else wanted
            return dispatch_claims.claim(db, going, claimant, now=now, guard=guard)

    if in_transaction(db, work) == len(waiting):
        return [
            under_claim(each, claims[each.lane], claimant, attempt=each.attempt + 1, claimed_at=now)
            for each in waiting.dispatches
        ]
    return dispatch_claims.claimed(db, {claim.id: claim for claim in claims.values()})


def put_off(db: Db, waiting: Sequence[Claimable], held: Mapping[Lane, Token], why: str, *, now: datetime) -> None:
    """Let dispatches that cannot go by their provider now stand aside for a while: they would stand before all others,
    which go by other providers. Raises StaleToken, Unavailable."""
    if not waiting:
        return
    until = {dispatch.id: now + stands_aside_for(dispatch.due_at, now) for dispatch in waiting}

    def work(session: Session) -> None:
        with lanes.under(db, {dispatch.lane: held[dispatch.lane] for dispatch in waiting}, session) as guard:
            dispatch_claims.put_off(db, until, why, guard=guard)

    in_transaction(db, work)


def _not_held(wanted: Sequence[ClaimedTogether], on_hold: Collection[str]) -> list[ClaimedTogether]:
    if EVERYTHING in on_hold:
        return []
    return [ClaimedTogether(w.claim, [d for d in w.dispatches if d.run_id not in on_hold]) for w in wanted]
