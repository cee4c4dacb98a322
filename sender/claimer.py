"""From waiting dispatches to ready requests: connections first, then claims, then requests, then over to the fencer.

Everything that can fail here fails before a fence is crossed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from mailroom.assembly.sender import SenderServices
from mailroom.domain.dispatches.model import Claimant, Claimed
from mailroom.domain.dispatches.outcomes import CallResult, Refusal, Refused
from mailroom.domain.ids import Lane, Token
from mailroom.domain.rates import LimitKind
from mailroom.providers.base import Adapter
from mailroom.services.dispatching import claims
from mailroom.services.dispatching import fences as dispatching_fences
from mailroom.services.dispatching.claims import Waiting
from mailroom.services.dispatching.requests import Preparing
from sender.caller import Job
from sender.connections import Connections
from sender.fencer import Fencer
from sender.in_flight import InFlight
from sender.lane_turns import LaneTurns, Turn
from sender.lanes import Lanes
from sender.looks import Looks
from sender.pace import Pace
from sender.provider_router import ProviderRouter
from sender.rate_limits import Throttle
from sender.recorder import Recorder
from sender.restore_guard import RestoreGuard
from sender.traced import trace_claims

_FILES_S: Final = 5.0  # for which a round waits for large bodies of the mails for one provider
_NONE_ENABLED: Final = "none of the providers by which it may go is switched on"
_TAKES_NOTHING: Final = "the provider by which it may go takes nothing now"


class Claimer:
    """For the loop's thread, except `note_planned`."""

    def __init__(
        self,
        services: SenderServices,
        in_flight: InFlight,
        lanes: Lanes,
        guard: RestoreGuard,
        router: ProviderRouter,
        throttle: Throttle,
        pace: Pace,
        connections: Connections,
        fencer: Fencer,
        recorder: Recorder,
        turns: LaneTurns,
        *,
        sender: str,
    ) -> None:
        self._services, self._in_flight, self._sender = services, in_flight, sender
        self._lanes, self._guard, self._turns = lanes, guard, turns
        self._router, self._throttle, self._pace, self._connections = router, throttle, pace, connections
        self._fencer, self._recorder = fencer, recorder
        # A sender that completes no round for some lease times loses its lanes, and its claims count as crashes.
        files_within_s = min(_FILES_S, services.settings.sending.lease_ttl_s / 2)
        self._preparing = Preparing(
            services.db, services.adapters, services.bodies, links=services.links, files_within_s=files_within_s
        )
        self._restored_at = guard.seen.restored_at
        self._looks = Looks(services, in_flight, guard, connections)

    def send(self, now: datetime) -> int:
        """Claim no more dispatches than there are connections for, build their requests, and hand them to the fencer.
        Returns how many were handed over.

        Raises StaleToken, Unavailable.
        """
        self._throttle.look()
        self._connections.try_again(self._services.leases.confirm)
        held, room = self._in_flight.claimable_tokens(), self._connections.room()
        if not held or self._guard.on_hold.everything:
            return 0
        being_planned = self._turns.being_planned
        found = self._looks.waiting(held, now, room, being_planned=being_planned)
        # What waits beside a run on hold is not noted.
        self._turns.pass_over(self._looks.noted_among(being_planned) | (being_planned & self._guard.on_hold.lanes))
        with self._turns.claim_in(found.by_lane) as turn:
            waiting = found.in_lanes(turn.lanes)
            handed_over = self._send_each(waiting, held, now, turn) if len(waiting) else 0
        if found.alone and not len(waiting):  # its lane is being planned
            self._looks.wait_for_planning()
        self._looks.note_handed_over(waiting, handed_over)
        return handed_over

    def note_planned(self, since: datetime) -> None:
        """New dispatches can be seen, due from `since` on: the next look goes back that far. Thread-safe."""
        self._looks.became_visible(since=since)

    def _send_each(self, waiting: Waiting, held: Mapping[Lane, Token], now: datetime, turn: Turn) -> int:
        """Hand each dispatch over, by its provider. Returns how many were handed over. The turn ends after the last
        part is claimed, before its requests are built."""
        parts = self._router.choose(waiting)
        self._put_off(self._router.without_provider(waiting), held, _NONE_ENABLED, now)
        if not parts:
            self._let_others_go(waiting)
        handed_over = 0
        for number, (name, part) in enumerate(parts, 1):
            done_claiming = turn.end if number == len(parts) else _keep_turn
            handed_over += self._send_by(self._services.adapters[name], part, held, now, done_claiming)
        return handed_over

    def _send_by(
        self,
        adapter: Adapter,
        waiting: Waiting,
        held: Mapping[Lane, Token],
        now: datetime,
        done_claiming: Callable[[], None],
    ) -> int:
        if not self._pace.open(adapter.name):
            self._let_others_go(waiting)
            self._put_off(waiting.of_few, held, _TAKES_NOTHING, now)
            return 0
        connections = self._connections.lend(adapter.name, len(waiting), self._services.leases.confirm)
        try:
            in_pace = waiting.first(self._pace.admit(adapter.name, min(len(waiting), len(connections))))
            admitted = self._throttle.admit(adapter.name, in_pace)
            self._put_off(waiting.after(len(in_pace)).of_few, held, _TAKES_NOTHING, now)
            self._put_off(in_pace.after(len(admitted)), held, _over_the_limit_of(adapter), now)
            began = time.monotonic()
            claimed = self._claim(adapter, admitted, held, now) if len(admitted) else []
            done_claiming()
            known = {dispatch.id: dispatch for dispatch in admitted.dispatches}
            trace_claims({c: known[c.id].trace for c in claimed}, seconds=time.monotonic() - began)
            ready = self._prepare(claimed)
        except BaseException:
            self._connections.give_back(connections)
            raise
        self._throttle.give_back(adapter.name, admitted, gone=sum(dispatch.messages for dispatch in ready))
        if not len(admitted):
            self._let_others_go(waiting)
        self._fencer.hand_in(
            Job(dispatch, adapter, request, connection, known[dispatch.id].due_at, known[dispatch.id].trace)
            for (dispatch, request), connection in zip(ready.items(), connections, strict=False)
        )
        self._connections.give_back(connections[len(ready) :])
        self._in_flight.note_activity({dispatch.claim.lane for dispatch in ready}, at=time.monotonic())
        return len(ready)

    def _put_off(self, waiting: Waiting, held: Mapping[Lane, Token], why: str, now: datetime) -> None:
        """Let what cannot go now stand aside, where others behind it may go by another provider."""
        before_others = [one for one in waiting.dispatches if self._router.stands_before_others(one)]
        claims.put_off(self._services.db, before_others, held, why, now=now)

    def _let_others_go(self, waiting: Waiting) -> None:
        """Nothing of `waiting` goes now. If it must go alone, others may go before it for a moment."""
        if waiting.alone:
            self._looks.let_others_go()

    def _claim(self, adapter: Adapter, waiting: Waiting, held: Mapping[Lane, Token], now: datetime) -> list[Claimed]:
        services = self._services
        claimant = Claimant(self._sender, self._lanes.redis_identity, adapter.name, adapter.account)
        claimed = claims.claim(services.db, waiting, held, claimant, now=now)
        self._in_flight.take(claimed)
        if len(claimed) < len(waiting):
            self._guard.recheck()  # sending may have been stopped, or a run paused, since the last check
        return claimed

    def _prepare(self, claimed: Sequence[Claimed]) -> dict[Claimed, object]:
        if not claimed:
            return {}
        try:
            if self._guard.seen.remembers:
                dispatching_fences.seed_fences(self._services.db, self._services.fences, claimed)
            if self._restored_at != self._guard.seen.restored_at:
                self._preparing.forget()
                self._restored_at = self._guard.seen.restored_at
            prepared = self._preparing.build(claimed, most=self._throttle.most_at_once, watched=self._throttle.domains)
            held_back = self._throttle.held_back(prepared.domains)
        except BaseException as error:
            why = Refused(Refusal.NOT_CALLED, f"not prepared: {type(error).__name__}: {error}")
            self._recorder.hand_in(CallResult(c, why) for c in claimed)
            raise
        self._recorder.hand_in([*prepared.refused, *held_back])
        self._in_flight.done(prepared.over)
        for result in held_back:
            del prepared.ready[result.claimed]
        return prepared.ready


def _keep_turn() -> None:
    """Other providers' parts are still to be claimed."""


def _over_the_limit_of(adapter: Adapter) -> str:
    return f"held back by the limit of {LimitKind.PROVIDER}/{adapter.name}"
