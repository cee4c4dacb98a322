"""The secrets of docker-compose.cluster.yml: passwords, certificates, and URLs with passwords.

Each store has an authority of its own, which vouches for its members and for its clients. The key of an authority is
not kept: nobody can add a certificate later, and whoever needs one makes all of them anew.
"""

import secrets
from datetime import datetime
from typing import Final

from config.certificates import Authority

MONGO: Final = ("mongo-1", "mongo-2", "mongo-3")
ETCD: Final = ("etcd-1", "etcd-2", "etcd-3")
REDIS: Final = ("redis-1", "redis-2")
SENTINELS: Final = ("sentinel-1", "sentinel-2", "sentinel-3")
SET: Final = "mailroom"  # MongoDB's replica set, and the Sentinels' name for their master
USER: Final = "mailroom"  # of MongoDB
_OF_STORES: Final = {"mongo": MONGO, "etcd": ETCD, "redis": (*REDIS, *SENTINELS)}
_HERE: Final = ("localhost", "127.0.0.1")  # where a member is asked from its own container


def cluster_secrets(*, now: datetime) -> dict[str, str]:
    """The contents of all files by their names, new at each call."""
    files = {name: content for store in _OF_STORES for name, content in _certificates(store, now=now).items()}
    mongo, redis = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    sentinels = ",".join(f"{name}:26379" for name in SENTINELS)
    return files | {
        "mongo-key": secrets.token_hex(64),  # by which members know each other; letters that a key file may hold
        "mongo-admin-password": secrets.token_urlsafe(32),
        "mongo-url": f"mongodb://{USER}:{mongo}@{','.join(MONGO)}/mailroom?replicaSet={SET}&authSource=admin",
        "redis-password": redis,  # of the servers and the Sentinels: these know the servers' anyway
        "redis-url": f"rediss+sentinel://:{redis}@{sentinels}/{SET}/0?sentinel_password={redis}",
    }


def _certificates(store: str, *, now: datetime) -> dict[str, str]:
    """`-ca`: the authority; `-server` and `-client`: a certificate and its key each."""
    authority = Authority.founded(f"Mailroom's {store}", now=now)
    return {
        f"{store}-ca": authority.own,
        f"{store}-server": authority.issue(store, [*_OF_STORES[store], *_HERE], now=now),
        f"{store}-client": authority.issue("mailroom", ["mailroom"], now=now),
    }
