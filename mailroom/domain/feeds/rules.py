"""What the settings allow of feeds: asked when a schedule is saved, and again before each fetch."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from mailroom.domain.errors import Fault
from mailroom.domain.feeds.model import Feed
from mailroom.domain.feeds.urls import FeedUrl, read_url


@dataclass(frozen=True, slots=True)
class FeedSecret:
    """The value of a header, and the places that may get it."""

    value: str = field(repr=False)
    places: frozenset[str]  # as FeedUrl.place


@dataclass(frozen=True, slots=True)
class FeedRules:
    """`places`: the only places that a feed may come from; None for every public host. `private`: places that need not
    be public, by http too and on any port. `http`: feeds of public hosts may come without TLS. `ports`: those of
    public hosts."""

    places: Set[str] | None = None
    private: Set[str] = frozenset()
    http: bool = False
    ports: Set[int] = frozenset({80, 443})
    secrets: Mapping[str, FeedSecret] = field(default_factory=dict, repr=False)

    def faults_of(self, feed: Feed) -> list[Fault]:
        """Every fault of a checked feed, at paths below `feed`."""
        url = read_url(feed.url)
        faults = [Fault("feed.url", why) for why in self._why_not(url)]
        return faults + self._faults_of_secrets(feed, url)

    def is_private(self, url: FeedUrl) -> bool:
        """True if the place is named as one that need not be public."""
        return url.place in self.private

    def headers_of(self, feed: Feed) -> dict[str, str]:
        """The headers with their values, of a feed without faults."""
        return {name: self.secrets[secret].value for name, secret in feed.headers}

    def _why_not(self, url: FeedUrl) -> list[str]:
        if self.is_private(url):
            return []
        reasons = []
        if self.places is not None and url.place not in self.places:
            reasons.append(f"{url.place} is not among the hosts of MAILROOM_FEED_HOSTS")
        if url.scheme == "http" and not self.http:
            reasons.append("must begin with https://; MAILROOM_FEED_HTTP allows http://")
        if url.port not in self.ports:
            reasons.append(f"port {url.port} is not among those of MAILROOM_FEED_PORTS")
        return reasons

    def _faults_of_secrets(self, feed: Feed, url: FeedUrl) -> list[Fault]:
        faults = []
        for name, secret in feed.headers:
            known = self.secrets.get(secret)
            if known is None:
                faults.append(Fault(f"feed.headers.{name}", f'MAILROOM_FEED_SECRETS has no "{secret}"'))
            elif url.place not in known.places:
                faults.append(Fault(f"feed.headers.{name}", f'"{secret}" is not for {url.place}'))
        return faults
