"""Build the services of a sender."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from config.settings import Sending, Settings
from mailroom.assembly.api_and_sender import (
    build_body_files,
    build_circuits,
    build_fetcher,
    build_letterboxes,
    build_shares,
)
from mailroom.assembly.links import build_links, build_return_paths
from mailroom.assembly.providers import build_adapter
from mailroom.coordination.circuits import Circuits
from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.coordination.leases import Leases
from mailroom.coordination.mirror import Mirror
from mailroom.coordination.rate_buckets import Rates
from mailroom.domain.dispatches.doubts import Timing, Unaskable
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.emails.model import RANK_OF, Priority
from mailroom.domain.feeds.rules import FeedRules
from mailroom.domain.shares import NO_SHARES, Shares
from mailroom.domain.unsubscribe_links import UnsubscribeLinks
from mailroom.feeds.fetching import Fetcher
from mailroom.providers.base import Adapter
from mailroom.services.operations.mailboxes import Letterbox
from mailroom.services.operations.returned_mail import Recognition
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.database import Db, connect


@dataclass(frozen=True, slots=True)
class SenderServices:
    """The services of a sender."""

    settings: Settings
    db: Db
    bodies: BodyFiles
    leases: Leases
    fences: Fences
    holds: Holds
    mirror: Mirror
    circuits: Circuits
    rates: Rates
    adapters: Mapping[str, Adapter]  # in the settings' order
    policy: Policy
    shares: Shares = NO_SHARES
    links: UnsubscribeLinks | None = None  # without them mail of a topic is refused
    feeds: Fetcher = field(default_factory=lambda: Fetcher(FeedRules()))
    letterboxes: Sequence[Letterbox] = ()

    @property
    def recognition(self) -> Recognition:
        """The keys by which returned mails are recognised."""
        links = self.links or build_links(self.settings.web)
        return Recognition(build_return_paths(self.settings), links)


def build_sender_services(settings: Settings, *, sender: str) -> SenderServices:
    """Build the services of a sender. `sender`: the name of this process, unique among all running processes."""
    stores, sending = settings.stores, settings.sending
    db = connect(stores.mongo_url, app="sender")
    return SenderServices(
        settings=settings,
        db=db,
        bodies=build_body_files(settings, db),
        leases=Leases(stores.etcd_urls, sender=sender, ttl_s=sending.lease_ttl_s),
        fences=Fences(stores.redis_url, of=db.name),
        holds=Holds(stores.redis_url, of=db.name),
        mirror=Mirror(stores.redis_url, of=db.name),
        circuits=build_circuits(settings, of=db.name),
        rates=Rates(stores.redis_url, of=db.name),
        adapters={name: build_adapter(settings, name) for name in sending.providers},
        policy=_build_policy(sending),
        links=build_links(settings.web),
        shares=build_shares(sending),
        feeds=build_fetcher(settings.feeds),
        letterboxes=build_letterboxes(settings.returned_mail),
    )


def _build_policy(sending: Sending) -> Policy:
    """Build the policy for doubts and retries."""
    timing = Timing(
        call_timeout=timedelta(seconds=sending.call_timeout_s),
        idle_limit=timedelta(seconds=sending.idle_limit_s),
        settle=timedelta(seconds=sending.settle_s),
        log_retention=timedelta(seconds=sending.log_retention_s),
    )
    by_rank = {RANK_OF[Priority(name)]: delays for name, delays in sending.retry_delays_by_priority.items()}
    return Policy(timing, Delays(sending.retry_delays, by_rank), Unaskable(sending.unaskable))
