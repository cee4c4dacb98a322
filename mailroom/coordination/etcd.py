"""A client of etcd that turns to another member if one is dead, frozen, or cut off from the others.

Each call is tried at every member once, so every call must be safe to repeat: after a lost answer nobody knows whether
the call was done. A member that did not answer gets a new connection for its next call: packets on the old connection
may wait for minutes after the network has recovered.
"""

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import grpc
from etcd3 import etcdrpc

from mailroom.domain.errors import TakesNoWrites, Unavailable
from mailroom.watching import stores

_CALL_S: Final = 3.0  # for a call in all, with one or two members
_LEAST_S: Final = 1.5  # for each member
_TRIED_TTL_S: Final = 10  # of a lease that only tests whether etcd takes writes
_MOST_ANSWERED: Final = 256 * 1024 * 1024  # bytes
_OPTIONS: Final = [
    # Without a pool of its own a new channel would reuse the old connection.
    ("grpc.use_local_subchannel_pool", 1),
    # The defaults give up on a connection attempt after 20 s, and pause for up to two minutes between attempts.
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # All keys of lanes are listed in one answer, a sixth of a kilobyte each: the default of 4 MB ends at 33,000 lanes.
    ("grpc.max_receive_message_length", _MOST_ANSWERED),
]
# A member that sees no leader says so at once; without this the call waits there for its time-out.
_METADATA: Final = (("hasleader", "true"),)
_ASK_ANOTHER: Final = frozenset(
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,  # another thread closed the connection meanwhile
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    ]
)


class Gone(Exception):
    """etcd does not know the lease, or knows it no more."""


class KeyExists(Exception):
    """A lease of this id exists already."""


class Etcd:
    """Thread-safe. A URL may carry a user and a password; an https:// URL the options `ca`, `cert` and `key`: paths of
    PEM files with the authorities that are trusted, a certificate of our own, and its key (else in the same file)."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._members = [_Member(url) for url in urls]
        self._call_s = max(_LEAST_S, _CALL_S / len(urls))
        self._current = 0

    def range(self, prefix: str, **options: bool) -> Any:
        """The keys that begin with `prefix`, by a linearizable read. Raises Unavailable."""
        with _explained("read"):
            return self._call("Range", range_of(prefix, **options))

    def transaction(self, operations: Sequence[Any], *, purpose: str) -> Any:
        """Do all of these operations, or none. Raises Unavailable, or Gone if an operation names an unknown lease."""
        with _explained(purpose):
            return self._call("Txn", etcdrpc.TxnRequest(success=operations))

    def grant(self, lease_id: int, ttl_s: int) -> None:
        """Make a lease. Raises Unavailable: then the lease may exist."""
        with contextlib.suppress(KeyExists), _explained("grant a lease"):  # by an earlier try whose answer was lost
            self._call("LeaseGrant", etcdrpc.LeaseGrantRequest(ID=lease_id, TTL=ttl_s))

    def renew(self, lease_id: int) -> bool:
        """Renew a lease for its whole time. False if there is none of this id. Raises Unavailable."""
        with _explained("renew the lease"):
            return bool(self._call("LeaseKeepAlive", etcdrpc.LeaseKeepAliveRequest(ID=lease_id)).TTL > 0)

    def revoke(self, lease_id: int) -> None:
        """End a lease and all keys that are bound to it. An unknown lease is no error. Raises Unavailable."""
        with contextlib.suppress(Gone), _explained("revoke a lease"):
            self._call("LeaseRevoke", etcdrpc.LeaseRevokeRequest(ID=lease_id))

    def check_writes(self) -> None:
        """Test a write by granting a lease, which leaves nothing behind. Raises TakesNoWrites, Unavailable."""
        lease_id = secrets.randbits(62) + 1
        self.grant(lease_id, _TRIED_TTL_S)
        with contextlib.suppress(Unavailable):  # then the lease ends by itself
            self.revoke(lease_id)

    def close(self) -> None:
        for member in self._members:
            member.close()

    def _call(self, method: str, request: Any) -> Any:
        """Ask the members one after the other, beginning with the last to answer. Raises grpc.RpcError."""
        first = self._current
        for number in range(first, first + len(self._members)):
            member = self._members[number % len(self._members)]
            try:
                with stores.timed(stores.ETCD):
                    answer = member.ask(method, request, within_s=self._call_s)
            except (grpc.RpcError, ValueError) as error:  # ValueError: the connection was closed meanwhile
                if isinstance(error, grpc.RpcError) and error.code() not in _ASK_ANOTHER:
                    raise
                member.give_up_connection()
                last = error
            else:
                self._current = number % len(self._members)
                return answer
        raise last


class _Member:
    """One member, and our connection to it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = f"{parts.hostname}:{parts.port or 2379}"
        self._secure = parts.scheme == "https"
        self._files = dict(parse_qsl(parts.query))
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._session: str | None = None  # the token that etcd gave for the password
        self._changing = threading.Lock()
        self._channel: Any = None
        self._methods: dict[str, Callable[..., Any]] = {}

    def ask(self, method: str, request: Any, *, within_s: float) -> Any:
        """Ask this member. With a password sign in first, and again if etcd has forgotten the session in a restart."""
        if not self._user:
            return self._ask(method, request, within_s, _METADATA)
        if self._session is None:
            self._sign_in(within_s)
        try:
            return self._ask(method, request, within_s, self._signed())
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED and "auth store is old" not in str(error.details()):
                raise
        self._sign_in(within_s)
        return self._ask(method, request, within_s, self._signed())

    def _ask(self, method: str, request: Any, within_s: float, metadata: Any) -> Any:
        return self._method(method)(request, timeout=within_s, metadata=metadata)

    def _sign_in(self, within_s: float) -> None:
        asked = etcdrpc.AuthenticateRequest(name=self._user, password=self._password)
        self._session = self._ask("Authenticate", asked, within_s, _METADATA).token

    def _signed(self) -> tuple[tuple[str, str], ...]:
        return (*_METADATA, ("token", self._session or ""))

    def give_up_connection(self) -> None:
        with self._changing:
            channel, self._channel, self._methods = self._channel, None, {}
        if channel is not None:
            channel.close()

    def close(self) -> None:
        self.give_up_connection()

    def _method(self, name: str) -> Callable[..., Any]:
        with self._changing:
            if self._channel is None:
                self._channel = self._connect()
                stubs = [stub(self._channel) for stub in (etcdrpc.KVStub, etcdrpc.LeaseStub, etcdrpc.AuthStub)]
                self._methods = {name: method for stub in stubs for name, method in vars(stub).items()}
                self._methods["LeaseKeepAlive"] = _renewal(self._channel)
            return self._methods[name]

    def _connect(self) -> Any:
        if self._secure:
            return grpc.secure_channel(self._address, self._credentials(), options=_OPTIONS)
        return grpc.insecure_channel(self._address, options=_OPTIONS)

    def _credentials(self) -> Any:
        """Read from the files for each connection, for certificates are renewed in their places. Raises ValueError."""
        try:
            files = {name: Path(path).read_bytes() for name, path in self._files.items()}
        except OSError as error:
            raise ValueError(f"a file for TLS cannot be read: {error}") from error
        return grpc.ssl_channel_credentials(files.get("ca"), files.get("key", files.get("cert")), files.get("cert"))


def _renewal(channel: Any) -> Callable[..., Any]:
    """One renewal of a lease. It is declared as a stream, and on the wire one request with one answer is the same as a
    stream of one each; but gRPC would start two threads for it."""
    return channel.unary_unary(  # type: ignore[no-any-return]
        "/etcdserverpb.Lease/LeaseKeepAlive",
        request_serializer=etcdrpc.LeaseKeepAliveRequest.SerializeToString,
        response_deserializer=etcdrpc.LeaseKeepAliveResponse.FromString,
    )


@contextlib.contextmanager
def _explained(purpose: str) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        code, words = error.code(), error.details() or ""
        if code is grpc.StatusCode.NOT_FOUND:
            raise Gone(words) from error
        if code is grpc.StatusCode.FAILED_PRECONDITION and "already exists" in words:
            raise KeyExists(words) from error
        stores.failed(stores.ETCD)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "space exceeded" in words:
            raise TakesNoWrites("etcd", "its space is used up (NOSPACE)") from error
        if code is grpc.StatusCode.DATA_LOSS:
            raise TakesNoWrites("etcd", "its members' data differ (CORRUPT)") from error
        if code is grpc.StatusCode.PERMISSION_DENIED:
            raise TakesNoWrites("etcd", "its user may not write") from error
        raise Unavailable(f"etcd did not {purpose}: {code.name} {words}") from error
    except ValueError as error:
        stores.failed(stores.ETCD)
        raise Unavailable(f"etcd did not {purpose}: {error}") from error


# Requests of etcd's protocol


def range_of(prefix: str, **options: bool) -> Any:
    """A request for all keys that begin with `prefix`."""
    key = prefix.encode()
    end = key[:-1] + bytes([key[-1] + 1])  # our prefixes never end with 0xff
    return etcdrpc.RangeRequest(key=key, range_end=end, **options)


def read(key: str) -> Any:
    return etcdrpc.RequestOp(request_range=etcdrpc.RangeRequest(key=key.encode()))


def read_all(prefix: str) -> Any:
    return etcdrpc.RequestOp(request_range=range_of(prefix))


def put(key: str, value: str, *, lease_id: int) -> Any:
    return etcdrpc.RequestOp(
        request_put=etcdrpc.PutRequest(key=key.encode(), value=value.encode(), lease=lease_id),
    )


def delete(key: str) -> Any:
    return etcdrpc.RequestOp(request_delete_range=etcdrpc.DeleteRangeRequest(key=key.encode()))


def if_created_at(key: str, revision: int, then: Sequence[Any], otherwise: Sequence[Any] = ()) -> Any:
    """Do `then` if the key was created at this revision, else `otherwise`. Revision 0: the key does not exist."""
    as_said = etcdrpc.Compare(
        result=etcdrpc.Compare.EQUAL,
        target=etcdrpc.Compare.CREATE,
        key=key.encode(),
        create_revision=revision,
    )
    txn = etcdrpc.TxnRequest(compare=[as_said], success=list(then), failure=list(otherwise))
    return etcdrpc.RequestOp(request_txn=txn)
