"""One run: a fleet of one version in mid-campaign, all of it replaced by another version, and back."""

import random
import signal
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from mailroom.domain.dispatches.decisions import GIVES_UP
from mailroom.providers.mailgun.webhook_setup import MailgunTarget
from tests.support.system import System, wait_for
from tests.upgrade.asking import Campaigns, Mails
from tests.upgrade.callers import Callers, Client
from tests.upgrade.fleet import Fleet, Replaced
from tests.upgrade.looking import Browser, Elsewhere, Looks
from tests.upgrade.promises import Promises, all_refused
from tests.upgrade.verdict import Roll, Verdict, judge
from tests.upgrade.versions import Version

# As in `tests.chaos`: the provider's log lags by half of the settling time, and its idle limit is below ours.
SETTLE_S: Final = 2
SETTINGS: Final = {
    "MAILROOM_LEASE_TTL": "3",
    "MAILROOM_CALL_TIMEOUT": "1.5",
    "MAILROOM_IDLE_LIMIT": "4",
    "MAILROOM_SETTLE": str(SETTLE_S),
    "MAILROOM_RETRY_DELAYS": ",".join(["0.2"] * 20),
    "MAILROOM_SENDER_CONCURRENCY": "6",
    "MAILROOM_BATCH_SIZE": "5",
}
#: So slow is each call to the provider that senders always have some in hand.
LATENCY_S: Final = 0.25
_FAULTS: Final = ("500_after", "drop_after", "429", "500_before", "cut_json_after", "500_part_after")
_UNDER_WAY: Final = 20  # calls before the first process is replaced
_QUIET_S: Final = 300.0


class Rolling:
    """A system under load, whose processes are replaced while it works. `say` is told of each."""

    def __init__(
        self,
        system: System,
        *,
        senders: int = 3,
        recipients: int = 400,
        side_by_side_s: float = 10.0,
        faults: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._system, self._recipients, self._side_by_side_s = system, recipients, side_by_side_s
        self._fleet, self._promises = Fleet(system, senders=senders), Promises()
        self._faults, self._rng, self._say = faults, random.Random(1), say

    def run(self, old: Version, steps: Sequence[tuple[Version, signal.Signals]]) -> Verdict:
        """Begin with the old version, replace all by the version of each step in turn, and count."""
        callers = Callers(self._fleet.of("api"), self._started(old))
        browser = Browser(self._fleet.of("web"), callers.token, callers, self._promises)
        elsewhere = Elsewhere(callers)
        clients = self._clients(callers, browser, elsewhere if old.command else None)
        for client in clients:
            client.start()
        wait_for(self._is_under_way, within_s=90, what="campaigns are under way")
        rolls = [self._roll(version, by) for version, by in steps]
        for client in clients:
            client.end()
        what_is_open = self._wait_until_quiet(callers)
        found = judge(self._system, self._fleet, callers, self._promises)
        found.rolls, found.open = rolls, what_is_open
        found.pages_by, found.elsewhere = dict(browser.pages), dict(elsewhere.answers)
        found.broken = [f"{client.name}: {client.broken_by}" for client in clients if client.broken_by]
        return found

    def _started(self, old: Version) -> str:
        """Everything runs in the old version. Returns an admin's token, made by it."""
        system = self._system
        system.start_simulator()
        knobs = {"latency_s": LATENCY_S, "event_lag_s": SETTLE_S / 2, "idle_limit_s": 3.0, "hang_s": 3.0}
        system.simulator.turn(**knobs, refused_addresses=all_refused(self._recipients))
        token = old.answer(system, "token", "create", "--name", "upgrade", "--scope", "admin")
        self._fleet.start(old)
        mailgun = system.settings.mailgun
        target = MailgunTarget(base_url=mailgun.base_url, domain=mailgun.domain, api_key=mailgun.api_key)
        target.push(f"{self._fleet.of('api')[0].url}/webhooks/mailgun")
        return token

    def _clients(self, callers: Callers, browser: Browser, elsewhere: Elsewhere | None) -> list[Client]:
        campaigns = Campaigns(self._system, callers, self._promises, recipients=self._recipients)
        mails = [Mails(callers, self._promises, series=series) for series in ("e", "f")]
        return [
            Client("campaigns", campaigns.step, pause_s=0.3),
            *(Client(f"mails-{number}", each.step, pause_s=0.05) for number, each in enumerate(mails)),
            Client("looks", Looks(callers, self._promises).step, pause_s=0.1),
            Client("browser", browser.step, pause_s=0.1),
            *([Client("elsewhere", elsewhere.step, pause_s=1.0)] if elsewhere else []),
        ]

    def _is_under_way(self) -> bool:
        return self._system.simulator.record()["calls"] >= _UNDER_WAY

    def _roll(self, version: Version, by: signal.Signals) -> Roll:
        """Half of the places of each kind, a while with both versions side by side, then the other half."""
        began, began_at = time.monotonic(), time.time()
        halves = [self._rng.sample(half, len(half)) for half in (self._fleet.places[::2], self._fleet.places[1::2])]
        replaced: list[Replaced] = []
        both_since = both_until = 0.0
        for half in halves:
            for place in half:
                self._say(f"{place.name}: {place.version} ends by {by.name}, {version.name} takes its place")
                self._misbehave()
                replaced.append(self._fleet.replace(place, version, by=by))
                both_since = both_since or (time.monotonic() if place.kind == "sender" else 0.0)
                both_until = time.monotonic() if place.kind == "sender" else both_until
            if half is halves[0]:
                self._say("both versions side by side")
                time.sleep(self._side_by_side_s)
        took_s, pause_s = time.monotonic() - began, self._longest_pause_s(began_at, time.time())
        return Roll(version.name, by.name, took_s, both_until - both_since, pause_s, replaced)

    def _misbehave(self) -> None:
        """The provider leaves some calls in doubt, for whichever version to settle."""
        if self._faults:
            self._system.simulator.fail_next(self._rng.choice(_FAULTS), times=2)

    def _longest_pause_s(self, since: float, until: float) -> float:
        """The longest time without a call that the provider took."""
        accepted = [call["accepted_at"] for call in self._system.simulator.calls()]
        moments = sorted([since, *(at for at in accepted if since < at < until), until])
        return max(later - earlier for earlier, later in pairwise(moments))

    def _wait_until_quiet(self, callers: Callers) -> dict[str, int]:
        """Returns what is still open when the time is over; nothing if all is through."""
        self._system.simulator.heal()
        self._system.simulator.turn(latency_s=0.0)
        until = time.monotonic() + _QUIET_S
        while (is_open := self._open()) and time.monotonic() < until:
            self._say(f"until all is quiet: {is_open}")
            self._send_failed_again(callers)
            time.sleep(0.5)
        return is_open

    def _open(self) -> dict[str, int]:
        db = self._system.db
        due_soon = {"state": "active", "next_run_at": {"$lt": datetime.now(UTC) + timedelta(days=1)}}
        found = {
            "dispatches": db.dispatches.count_documents({"state": {"$in": ["pending", "sending", "in_doubt"]}}),
            "runs": db.runs.count_documents({"state": {"$in": ["planning", "planned"]}}),
            "schedules": db.schedules.count_documents(due_soon),
            "dispatches whose mails are not told": db.dispatches.count_documents({"tell": True}),
            "given up": db.dispatches.count_documents(_GIVEN_UP),
        }
        return {what: count for what, count in found.items() if count}

    def _send_failed_again(self, callers: Callers) -> None:
        """What a person does about calls that were in hand at three crashes of their senders."""
        for dispatch in self._system.db.dispatches.find(_GIVEN_UP, {"_id": 1}):
            callers.call("POST", f"/v1/dispatches/{dispatch['_id']}/resolve", json={"verdict": "send_again"})


_GIVEN_UP: Final = {"state": "failed", "reason": GIVES_UP}
