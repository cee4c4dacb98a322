"""Lanes taken and dispatches claimed and fenced: steps 'taking a lane', 2 and 3 of the protocol, in bulk."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mailroom.coordination.fences import Fences, Verdict
from mailroom.coordination.leases import Leases
from mailroom.domain.dispatches import Claim, Claimed
from mailroom.domain.emails.model import Rank
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import ClaimId, Lane, RunId, Token, new_claim_id, schedule_lane
from mailroom.domain.outcomes import NOBODY_KNOWS_WHERE, Accepted, CalledAt, InDoubt
from mailroom.storage import cluster, dispatch_claims, holds, lanes, runs, schedules
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.holds import NOTHING_HELD, OnHold

_EPOCH: Final = 2**40  # a token is epoch * this + create revision


def lanes_wanting_work(db: Db, *, now: datetime, ahead: timedelta, limit: int, leave_out: Sequence[Lane]) -> list[Lane]:
    """Up to `limit` lanes of each kind in which something is to be done, and which are not in `leave_out`: a schedule
    that is due within `ahead`, a run in planning, a dispatch to be sent, asked about, or judged.

    Held runs are not sent; their lanes are wanted for other work alone.
    """
    left_out, held = {*leave_out, *lanes.waiting(db, now=now)}, holds.standing(db)
    enough = limit + len(left_out)
    due = [] if held.everything else [schedule_lane(id_) for id_ in schedules.due(db, now=now + ahead, limit=enough)]
    unfinished = [schedule_lane(id_) for id_ in runs.schedules_in_planning(db, limit=enough)]
    sending = _lanes_with_work(db, held, now=now, limit=enough, leave_out=left_out)
    return [lane for lane in dict.fromkeys([*due, *unfinished, *sending]) if lane not in left_out]


def _lanes_with_work(db: Db, held: OnHold, *, now: datetime, limit: int, leave_out: Collection[Lane]) -> Sequence[Lane]:
    if held.everything:
        return dispatch_claims.lanes_to_settle(db, now=now, limit=limit, leave_out=sorted(leave_out))
    mixed = held.lanes
    found = dispatch_claims.lanes_with_work(db, now=now, limit=limit, leave_out=sorted({*leave_out, *mixed}))
    if mixed:
        found += dispatch_claims.lanes_to_settle(db, now=now, limit=limit, among=sorted(mixed))
        found += dispatch_claims.lanes_of_waiting_runs(db, _going(db, held, mixed), now=now, limit=limit)
    return found


def _going(db: Db, held: OnHold, mixed: Collection[Lane]) -> list[RunId]:
    """The open runs of these lanes that are not held."""
    named = {schedule for schedule in held.runs.values() if schedule_lane(schedule) in mixed}
    return [run for run in runs.open_of(db, named) if run not in held.runs] if named else []


def take_lanes(
    db: Db, leases: Leases, fences: Fences, wanted: Sequence[Lane], *, sender: str, now: datetime
) -> tuple[dict[Lane, Token], str]:
    """Take those of the lanes that are free: etcd's key first, the token to MongoDB, then to Redis.

    Returns the lanes that are ours in all three, with their tokens, and Redis' identity. What was refused anywhere is
    given back at once. Raises Unavailable; then none may be used.
    """
    if not wanted:
        return {}, ""
    recalled = cluster.recall(db)
    taken = leases.take(wanted)
    if not taken.revisions:
        return {}, ""
    epoch = cluster.settle(db, recalled, cluster_id=taken.cluster_id, revision=taken.revision)
    tokens = {lane: Token(epoch * _EPOCH + revision) for lane, revision in taken.revisions.items()}
    stored = lanes.raise_tokens(db, tokens, sender, now=now)
    entered, memory = fences.enter({lane: token for lane, token in tokens.items() if lane in stored})
    leases.release({lane: revision for lane, revision in taken.revisions.items() if lane not in entered})
    return {lane: token for lane, token in tokens.items() if lane in entered}, memory


def revision_of(token: Token) -> int:
    """The create revision, in etcd, of the lane's key that this token was made from."""
    return token % _EPOCH


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
    if going := _going(db, on_hold, mixed) if mixed else []:
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
    memory: str,
    sender: str,
    provider: str,
    account: str,
    now: datetime,
) -> list[Claimed]:
    """Move these dispatches of lanes in hand to `sending`, except those on hold. Raises StaleToken, Unavailable.

    After Unavailable some may be claimed unseen: they are found as abandoned, by us or by others.
    """
    by_lane = waiting.by_lane
    made = {lane: Claim(new_claim_id(), lane, held[lane], sender, memory) for lane in by_lane}
    claims: Wanted = {made[lane].id: (made[lane], docs) for lane, docs in by_lane.items()}

    asked = {EVERYTHING, *(doc["run_id"] for doc in waiting.dispatches if "schedule_id" in doc)}

    def work(session: Session) -> int:
        lanes.touch(db, {lane: held[lane] for lane in by_lane}, session)
        on_hold = holds.held_among(db, asked, session=session)
        going = _not_held(claims, on_hold) if on_hold else claims
        return dispatch_claims.claim(db, going, provider, account, now=now, session=session)

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


@dataclass(frozen=True, slots=True)
class Crossing:
    """What the fences said to a group of claimed dispatches."""

    go: list[Claimed]
    accepted_before: list[tuple[Claimed, Accepted]]
    split_before: list[Claimed]  # refused, and to be halved
    in_doubt: list[tuple[Claimed, InDoubt]]
    stale: list[Claimed]
    forgotten: list[Claimed]  # Redis is not the one under which the claim was made: nothing may be called
    held: list[Claimed]  # paused, stopped or cancelled since it was claimed


def cross_fences(fences: Fences, claimed: Sequence[Claimed]) -> Crossing:
    """Cross the fences of claimed dispatches, all in one round trip. Raises Unavailable: none may be called."""
    by_claim: dict[ClaimId, list[Claimed]] = {}
    for dispatch in claimed:
        by_claim.setdefault(dispatch.claim.id, []).append(dispatch)
    verdicts, memory = fences.cross(by_claim)
    crossing = Crossing([], [], [], [], [], [], [])
    for dispatch in claimed:
        _sort_in(crossing, dispatch, verdicts[dispatch], remembered=memory == dispatch.claim.memory)
    return crossing


def _sort_in(crossing: Crossing, dispatch: Claimed, verdict: Verdict, *, remembered: bool) -> None:
    before = known_before(verdict)
    if isinstance(before, Accepted):
        crossing.accepted_before.append((dispatch, before))
    elif verdict.split:
        crossing.split_before.append(dispatch)
    elif verdict.stale:
        crossing.stale.append(dispatch)
    elif verdict.held:
        crossing.held.append(dispatch)
    elif not remembered:
        crossing.forgotten.append(dispatch)
    elif verdict.go:
        crossing.go.append(dispatch)
    elif before:
        crossing.in_doubt.append((dispatch, before))


def known_before(verdict: Verdict) -> Accepted | InDoubt | None:
    """What a fence knows of an earlier call: it was accepted, or may have been; None where it knows of none."""
    if verdict.accepted is not None:
        attempt, provider_id = verdict.accepted
        return Accepted(provider_id, attempt, verdict.called_at.provider if verdict.called_at else None)
    if verdict.go or verdict.stale or verdict.split or verdict.held:
        return None
    return crossed_by_another(verdict.crossed_by, verdict.crossed_at, verdict.called_at, final=verdict.final)


def crossed_by_another(
    claim: ClaimId | None, at: datetime | None, where: CalledAt | None, *, final: bool = False
) -> InDoubt:
    """The fence was crossed by a claim that MongoDB does not record, because it is a restored copy. The call may have
    been made at any time since, possibly at another provider."""
    ever = datetime.min.replace(tzinfo=UTC)
    return InDoubt(
        "its fence was crossed before",
        crossed_by=claim or ClaimId(""),
        called_since=at or ever,
        called_at=where or NOBODY_KNOWS_WHERE,
        final=final,
    )
