"""Build what the API, the pages and senders have alike."""

from datetime import timedelta

from config.feeds import FeedSettings
from config.mailboxes import ReturnedMail
from config.settings import Sending, Settings
from config.shares import OTHERS
from mailroom.coordination.circuits import Circuits
from mailroom.coordination.etcd import Etcd
from mailroom.coordination.redis_client import RedisWrites
from mailroom.domain.circuits import CircuitRule
from mailroom.domain.feeds.rules import FeedRules, FeedSecret
from mailroom.domain.shares import Shares
from mailroom.feeds.fetching import Fetcher
from mailroom.mailboxes.imap import ImapFolder
from mailroom.services.operations.mailboxes import Letterbox
from mailroom.services.operations.writability import Writability, of_stores
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.database import Db


def build_body_files(settings: Settings, db: Db) -> BodyFiles:
    """Build the files of large bodies: in S3 if the settings name a bucket, else in GridFS."""
    s3 = settings.bodies_s3
    if s3 is None:
        return BodyFiles(db)
    # botocore takes 60 ms of each start, which are wasted without S3.
    from mailroom.storage.body_files.s3_bucket import S3Bucket

    bucket = S3Bucket(s3.bucket, endpoint=s3.url, region=s3.region, access_key=s3.access_key, secret_key=s3.secret_key)
    return BodyFiles(db, bucket)


def build_circuits(settings: Settings, *, of: str) -> Circuits:
    """Build the circuits of the providers. `of`: the name of the database that they belong to."""
    sending = settings.sending
    rule = CircuitRule(
        window=timedelta(seconds=sending.circuit_window_s),
        failures=sending.circuit_failures,
        cooldown=timedelta(seconds=sending.circuit_cooldown_s),
    )
    return Circuits(settings.stores.redis_url, rule, of=of)


def build_shares(sending: Sending) -> Shares:
    """Build the shares between the providers."""
    by_domain = {domain: weights for domain, weights in sending.shares.items() if domain != OTHERS}
    return Shares(sending.shares.get(OTHERS, {}), by_domain)


def build_fetcher(feeds: FeedSettings) -> Fetcher:
    """Build what fetches feeds, by the rules of the settings."""
    secrets = {name: FeedSecret(of.value, frozenset(of.places)) for name, of in feeds.secrets.items()}
    places = None if feeds.places is None else frozenset(feeds.places)
    rules = FeedRules(places, frozenset(feeds.private), feeds.http, frozenset(feeds.ports), secrets)
    return Fetcher(rules)


def build_letterboxes(returned_mail: ReturnedMail) -> list[Letterbox]:
    """Build the mailboxes that are read, with their numbers from 1."""
    return [Letterbox(number, ImapFolder(place)) for number, place in enumerate(returned_mail.mailboxes, 1)]


def build_writability(settings: Settings, db: Db) -> Writability:
    """Build the check whether the stores take writes."""
    return of_stores(db, Etcd(settings.stores.etcd_urls), RedisWrites(settings.stores.redis_url))
