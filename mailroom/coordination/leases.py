"""Leases in etcd: who may drain a lane, and until when that may be believed.

A sender has one etcd lease; the key of each lane that it holds is bound to it, so that all of them vanish together
when the sender does. A holder trusts its lease only until a deadline of its own clock, counted from the moment at
which the last good keep-alive was *sent*, less a margin: etcd counts from when it received it, which is later.
A frozen process's clocks cannot be trusted for that; what stops its calls is that its connections died (see
providers/connection.py).
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import etcd3
import grpc

from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import Lane

_PREFIX: Final = "/mailroom/lanes/"
_SENDERS: Final = "/mailroom/senders/"
_LANES_A_TRANSACTION: Final = 50  # etcd refuses more than 128 operations; each lane is three
_CALL_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What one attempt to take lanes brought: create revisions of the keys that are ours now, and etcd's memory."""

    revisions: dict[Lane, int]
    cluster_id: str
    revision: int


class Leases:
    """One sender's lease. `keep_alive` may run beside the other methods, which one thread calls; any thread may read
    `held` and `deadline`."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        sender: str,
        ttl_s: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = _connect(urls)
        self._sender = sender
        self._ttl_s = ttl_s
        self._margin_s = max(1.0, ttl_s * 0.2)
        self._monotonic = monotonic
        self._changing = threading.Lock()
        self._lease_id: int | None = None
        self.deadline = 0.0  # on the monotonic clock: no call begins after it

    @property
    def held(self) -> bool:
        """True while the lease may be believed."""
        return self._lease_id is not None and self._monotonic() < self.deadline

    def begin(self) -> None:
        """Get a new lease and make our presence known under it. Raises Unavailable."""
        sent = self._monotonic()
        with _answers("grant a lease"):
            lease = self._client.lease(self._ttl_s)
            self._client.put(_SENDERS + self._sender, str(lease.id), lease=lease.id)
        with self._changing:
            self._lease_id = lease.id
            self.deadline = sent + self._ttl_s - self._margin_s

    def keep_alive(self) -> bool:
        """Renew. False when etcd knows the lease no more: every lane is lost. Raises Unavailable: ask again."""
        lease_id = self._lease_id
        if lease_id is None:
            return False
        sent = self._monotonic()
        with _answers("renew the lease"):
            answers = list(self._client.refresh_lease(lease_id))
        alive = bool(answers) and answers[0].TTL > 0
        with self._changing:
            if self._lease_id != lease_id:  # begun anew while we asked about the old one
                return self._lease_id is not None
            self._lease_id = lease_id if alive else None
            self.deadline = sent + self._ttl_s - self._margin_s if alive else 0.0
        return alive

    def confirm(self) -> bool:
        """Ask etcd, by a linearizable read, whether our lease stands right now. Raises Unavailable."""
        if self._lease_id is None:
            return False
        with _answers("read the lease"):
            value, _ = self._client.get(_SENDERS + self._sender)
        return value is not None and value.decode() == str(self._lease_id)

    def senders(self) -> int:
        """How many senders there are, ourselves included. Raises Unavailable."""
        with _answers("count the senders"):
            return int(self._range(_SENDERS, count_only=True).count)

    def held_by_anybody(self, beginning: str) -> set[Lane]:
        """The lanes whose names begin so, and that somebody holds. Raises Unavailable."""
        with _answers("list the lanes"):
            found = self._range(_PREFIX + beginning, keys_only=True).kvs
        return {Lane(kv.key.decode().removeprefix(_PREFIX)) for kv in found}

    def _range(self, prefix: str, **options: bool) -> Any:
        end = etcd3.utils.prefix_range_end(prefix.encode())
        request = etcd3.etcdrpc.RangeRequest(key=prefix.encode(), range_end=end, **options)
        return self._client.kvstub.Range(request, _CALL_S)

    def take(self, lanes: Sequence[Lane]) -> Taken:
        """Take those of the lanes that nobody holds, many in one round trip. Raises Unavailable; then none may be
        used, and what was taken unseen goes with the lease or is found on the next try."""
        lease_id = (
            self._lease_id
        )  # once: the heartbeat may lose it meanwhile, and a key without a lease never goes away
        if lease_id is None:
            raise Unavailable("there is no lease to take lanes with")
        revisions: dict[Lane, int] = {}
        cluster_id, revision = "", 0
        for start in range(0, len(lanes), _LANES_A_TRANSACTION):
            batch = lanes[start : start + _LANES_A_TRANSACTION]
            with _answers("take lanes"):
                answer = self._transaction([self._take_one(lane, lease_id) for lane in batch])
            cluster_id, revision = str(answer.header.cluster_id), answer.header.revision
            for lane, response in zip(batch, answer.responses, strict=True):
                # Taken now, or found with our own lease on it: an earlier answer of etcd got lost.
                kv = response.response_txn.responses[-1].response_range.kvs
                if kv and kv[0].lease == lease_id:
                    revisions[lane] = kv[0].create_revision
        return Taken(revisions, cluster_id, revision)

    def release(self, lanes: Sequence[Lane]) -> None:
        """Give lanes back so that others need not wait for the lease's end. Raises Unavailable."""
        for start in range(0, len(lanes), _LANES_A_TRANSACTION):
            batch = lanes[start : start + _LANES_A_TRANSACTION]
            transactions = self._client.transactions
            with _answers("release lanes"):
                self._transaction(
                    [
                        etcd3.transactions.Txn(
                            compare=[transactions.value(_PREFIX + lane) == self._sender],
                            success=[transactions.delete(_PREFIX + lane)],
                            failure=[],
                        )
                        for lane in batch
                    ]
                )

    def end(self) -> None:
        """Revoke the lease: every lane is free at once. Quiet when etcd is away; the TTL does it then."""
        lease_id = self._lease_id
        self.forget()
        if lease_id is not None:
            with contextlib.suppress(Unavailable), _answers("revoke the lease"):
                self._client.revoke_lease(lease_id)

    def forget(self) -> None:
        """Trust the lease no longer."""
        with self._changing:
            self._lease_id, self.deadline = None, 0.0

    def close(self) -> None:
        self._client.close()

    def _take_one(self, lane: Lane, lease_id: int) -> Any:
        transactions, key = self._client.transactions, _PREFIX + lane
        return etcd3.transactions.Txn(
            compare=[transactions.create(key) == 0],
            success=[transactions.put(key, self._sender, lease=lease_id), transactions.get(key)],
            failure=[transactions.get(key)],
        )

    def _transaction(self, operations: list[Any]) -> Any:
        # The client's own `transaction` hides the header, and with it the cluster id and the revision.
        request = etcd3.etcdrpc.TxnRequest(compare=[], success=self._client._ops_to_requests(operations), failure=[])
        return self._client.kvstub.Txn(request, _CALL_S)


def _connect(urls: Sequence[str]) -> Any:
    endpoints = []
    for url in urls:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        credentials = grpc.ssl_channel_credentials() if secure else None
        # The client would shun a failed endpoint for five minutes; a restarted etcd is back in one second.
        endpoints.append(
            etcd3.Endpoint(parts.hostname, parts.port or 2379, secure=secure, creds=credentials, time_retry=0.2)
        )
    return etcd3.MultiEndpointEtcd3Client(endpoints, timeout=_CALL_S, failover=len(endpoints) > 1)


@contextlib.contextmanager
def _answers(purpose: str) -> Iterator[None]:
    try:
        yield
    except (etcd3.exceptions.Etcd3Exception, grpc.RpcError, ValueError) as error:
        # ValueError: the client has marked its only endpoint as failed a moment ago.
        raise Unavailable(f"etcd did not {purpose}: {type(error).__name__} {error}") from error
