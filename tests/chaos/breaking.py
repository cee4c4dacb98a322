"""The promises switched off, one at a time, in a process that is to show what they are for."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace


def no_fence() -> None:
    """Every fence says 'go'."""
    from mailroom.coordination.fences import Fences
    from mailroom.domain.dispatches.fences import FenceAnswer

    _no_look_at_keys()
    cross = Fences.cross

    def says_go(self: Fences, claims: Any) -> Any:
        verdicts, memory = cross(self, claims)
        return {dispatch: FenceAnswer(go=True) for dispatch in verdicts}, memory

    Fences.cross = says_go  # type: ignore[method-assign]


def _no_look_at_keys() -> None:
    """A sender that stood still does not look at its keys; on a slow machine it would, before it calls."""
    from sender.lanes import Lanes

    Lanes.reconcile_if_due = lambda self: None  # type: ignore[method-assign]


def no_wait() -> None:
    """What the provider's log does not show at once counts as not accepted; no control is asked for."""
    from mailroom.domain.dispatches import absence
    from mailroom.domain.dispatches.doubts import Timing
    from mailroom.services.reconciliation import reconcile

    judge = absence.judge_absent
    Timing.decisive_from = lambda _self, marked_at: marked_at  # type: ignore[method-assign]

    def without_control(doubt: Any, *, asked_at: datetime, control_seen: bool, timing: Timing) -> Any:
        return judge(doubt, asked_at=asked_at, control_seen=True, timing=timing)

    vars(reconcile)["judge_absent"] = without_control


def reconnect() -> None:
    """A connection that breaks within a call is opened anew and the request sent again, as HTTP clients do."""
    from mailroom.providers.connection import LiveConnection, LostReply

    begin, advance = LiveConnection.begin, LiveConnection.advance
    begun: dict[int, tuple[Any, ...]] = {}

    def remembering(self: LiveConnection, *request: Any) -> None:
        begun[id(self)] = request
        begin(self, *request)

    def again(self: LiveConnection) -> Any:
        try:
            return advance(self)
        except LostReply:
            self.open()
            begin(self, *begun[id(self)])
            while (reply := advance(self)) is None:
                pass
            return reply

    LiveConnection.begin, LiveConnection.advance = remembering, again  # type: ignore[method-assign]


def no_token() -> None:
    """Nobody looks at a lane's token: not the decisions in MongoDB, not the fences in Redis; and these let a higher
    attempt pass, as if all earlier ones were settled, or they would find the others by themselves."""
    from mailroom.coordination.fences import Fences
    from mailroom.storage import lanes

    _no_look_at_keys()
    lanes._touch = lambda db, tokens, session: None  # type: ignore[assignment]
    cross, enter = Fences.cross, Fences.enter

    def any_token(self: Fences, claims: Any) -> Any:
        stand, _ = self.read([(c.claim.lane, c.id) for dispatches in claims.values() for c in dispatches])
        high = {
            id_: [replace(c, claim=replace(c.claim, token=2**52), cleared=_earlier(stand[c.id], c)) for c in dispatches]
            for id_, dispatches in claims.items()
        }
        verdicts, memory = cross(self, high)
        by_claim = {(claimed.id, claimed.claim.id): verdict for claimed, verdict in verdicts.items()}
        return {c: by_claim[c.id, c.claim.id] for dispatches in claims.values() for c in dispatches}, memory

    def enters(self: Fences, tokens: Any) -> Any:
        _, memory = enter(self, {})
        return set(tokens), memory

    Fences.cross, Fences.enter = any_token, enters  # type: ignore[method-assign]
    Fences.read_held = lambda self, _held, dispatches: self.read(dispatches)  # type: ignore[method-assign]


def _earlier(fence: Any, claimed: Any) -> Any:
    return (*claimed.cleared, fence.claim_id) if 0 < fence.attempt < claimed.attempt else claimed.cleared


def one_zone() -> None:
    """Everybody's time comes when the earliest zone's does."""
    from mailroom.domain.recipient_times import RecipientTime

    RecipientTime.slice_of = lambda self, _time_zone: self.starts_at  # type: ignore[method-assign]


def stays_listed() -> None:
    """An erasure overlooks the lists that the person is on."""
    from mailroom.services.persons import places

    places.next_list = lambda _db, _key, *, after: places.NextList(None, after, True)  # type: ignore[assignment]


def counts_again() -> None:
    """A bounce that is read again is another one."""
    from mailroom.services.operations import returned_mail

    event_of = vars(returned_mail)["event_of"]

    def anew(*of: Any, **more: Any) -> Any:
        event = event_of(*of, **more)
        return replace(event, id=f"{event.id}-{secrets.token_hex(4)}")

    vars(returned_mail)["event_of"] = anew


#: What makes the stories' verdicts red.
OF_STORIES: Final[dict[str, Callable[[], None]]] = {
    "zones": one_zone,
    "erasures": stays_listed,
    "bounces": counts_again,
}
BREAKS: Final[dict[str, Callable[[], None]]] = {
    **OF_STORIES,
    "fence": no_fence,
    "wait": no_wait,
    "reconnect": reconnect,
    "token": no_token,
}
