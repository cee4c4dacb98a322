"""Make each embedded server ask for a password. No command line holds it, for any user may read those."""

import contextlib
import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
from etcd3 import etcdrpc
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from local.private_files import write_private

USER: Final = "root"  # etcd's own name for the user that may do all
_KEY: Final = "mongod-key"
_ETCD_S: Final = 2.0


def kept(folder: Path) -> str:
    """The folder's password, made at the first call. Call it while the folder is locked."""
    path = folder / "store-password"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


def asked_none_so_far(folder: Path) -> bool:
    """Whether a mongod without a password has left its data here."""
    return (folder / "mongo" / "WiredTiger").exists() and not (folder / _KEY).exists()


def mongod_options(folder: Path, password: str) -> list[str]:
    """A key file makes mongod ask every client who it is."""
    if not password:
        return []
    key = hashlib.sha256(password.encode()).hexdigest()  # a key file holds few kinds of letters
    # The password is long and random: many rounds of hashing would only make every connection slow.
    return ["--keyFile", str(write_private(folder / _KEY, key)), "--setParameter", "scramSHA256IterationCount=5000"]


def redis_options(folder: Path, password: str) -> list[str]:
    """The file with the password comes first, as Redis wants it."""
    return [str(write_private(folder / "redis.conf", f"requirepass {password}\n"))] if password else []


def asked_by_mongod(client: MongoClient[dict[str, Any]], password: str) -> bool:
    """True if mongod knows the user with this password. A mongod without users lets a client on its own machine make
    the first one; that is done here."""
    if not password:
        return True
    with contextlib.suppress(OperationFailure):
        client.admin.command("createUser", USER, pwd=password, roles=["root"], mechanisms=["SCRAM-SHA-256"])
    with signed_in(client, password) as known:
        return bool(known.admin.command("ping")["ok"])


@contextlib.contextmanager
def signed_in(client: MongoClient[dict[str, Any]], password: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the same mongod that has said the password, if there is one."""
    if not password:
        yield client
        return
    host, port = client.address or ("127.0.0.1", 27017)
    known: MongoClient[dict[str, Any]] = MongoClient(
        host, port, username=USER, password=password, directConnection=True, serverSelectionTimeoutMS=500
    )
    with known:
        yield known


def asked_by_etcd(address: str, password: str) -> bool:
    """True if etcd asks for this password. An etcd that asked for none is set up to ask for it."""
    if not password:
        return True
    with grpc.insecure_channel(address) as channel:
        auth = etcdrpc.AuthStub(channel)
        steps = [
            (auth.UserAdd, etcdrpc.AuthUserAddRequest(name=USER, password=password)),
            (auth.RoleAdd, etcdrpc.AuthRoleAddRequest(name=USER)),
            (auth.UserGrantRole, etcdrpc.AuthUserGrantRoleRequest(user=USER, role=USER)),
            (auth.AuthEnable, etcdrpc.AuthEnableRequest()),
        ]
        for ask, request in steps:
            # Done by an earlier start, or refused because etcd asks for the password already.
            with contextlib.suppress(grpc.RpcError):
                ask(request, timeout=_ETCD_S)
        try:
            auth.Authenticate(etcdrpc.AuthenticateRequest(name=USER, password=password), timeout=_ETCD_S)
        except grpc.RpcError:
            return False
    return True
