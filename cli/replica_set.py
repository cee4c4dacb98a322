"""MongoDB's members made one replica set, which asks everybody for a password. Safe to repeat, also half-way."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from config.cluster import SET, USER
from mailroom.domain.errors import Unavailable

_WITHIN_S: Final = 120.0
_ASK_MS: Final = 5_000
_ALREADY_INITIALIZED: Final = 23
_USER_EXISTS: Final = 51003
# Members of one host answer each other at once. By default they wait ten seconds before they elect another primary.
_SETTINGS: Final = {"electionTimeoutMillis": 3_000, "heartbeatIntervalMillis": 1_000, "heartbeatTimeoutSecs": 3}
# What Mailroom does in its database, and the state of the set and its limits, which it asks for.
_ROLES: Final[list[object]] = [{"role": "dbOwner", "db": "mailroom"}, {"role": "clusterMonitor", "db": "admin"}]
_ADMIN: Final = "admin"


def form(members: Sequence[str], secrets: Path) -> None:
    """Returns when the set has a primary and its users: ours and one for a person, with the passwords of the folder.

    Raises Unavailable if that is not reached in two minutes. Members that belong to a set already are left as they are.
    """
    password = urlsplit((secrets / "mongo-url").read_text()).password or ""
    users: dict[str, tuple[str, list[object]]] = {
        USER: (password, _ROLES),
        _ADMIN: ((secrets / "mongo-admin-password").read_text(), ["root"]),
    }
    deadline, why = time.monotonic() + _WITHIN_S, ""
    while time.monotonic() < deadline:
        try:
            _initiate(members, secrets)
            with _client(secrets, list(members), replicaSet=SET) as primary:
                for name, (own, roles) in users.items():
                    _keep_user(primary, name, own, roles)
            return
        except PyMongoError as error:
            why = str(error)
            time.sleep(1)
    raise Unavailable(f"MongoDB's members are no replica set yet: {why}")


def _initiate(members: Sequence[str], secrets: Path) -> None:
    """MongoDB refuses this where one of the members belongs to a set: a member that lost its data makes no second."""
    config = {
        "_id": SET,
        "members": [{"_id": number, "host": host} for number, host in enumerate(members)],
        "settings": _SETTINGS,
    }
    with _client(secrets, members[0], directConnection=True) as client:
        if client.admin.command("hello").get("setName"):
            return
        try:
            client.admin.command("replSetInitiate", config)
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise


def _keep_user(client: MongoClient[dict[str, Any]], name: str, password: str, roles: list[object]) -> None:
    told: dict[str, Any] = {"pwd": password, "roles": roles, "mechanisms": ["SCRAM-SHA-256"]}
    try:
        client.admin.command("createUser", name, **told)
    except OperationFailure as error:
        if error.code != _USER_EXISTS:
            raise
        client.admin.command("updateUser", name, **told)


def _client(secrets: Path, hosts: str | list[str], **options: Any) -> MongoClient[dict[str, Any]]:
    """As one of the members, by their key: before there are users, nobody else is let in from another host."""
    return MongoClient(
        hosts,
        username="__system",
        password=(secrets / "mongo-key").read_text(),
        authSource="local",
        authMechanism="SCRAM-SHA-256",
        tls=True,
        tlsCAFile=str(secrets / "mongo-ca"),
        tlsCertificateKeyFile=str(secrets / "mongo-client"),
        serverSelectionTimeoutMS=_ASK_MS,
        **options,
    )
