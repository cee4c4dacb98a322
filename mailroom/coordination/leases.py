"""Leases in etcd: which sender may drain a lane, and for how long it may rely on that.

A sender has one etcd lease. The key of each lane that it holds is bound to the lease, so that all keys vanish together
with the sender. A holder trusts its lease only until a deadline of its own clock, counted from the moment at which the
last successful keep-alive was *sent*, less a margin: etcd counts from its arrival, which is later. The clocks of a
frozen process cannot be trusted; its calls are stopped by its dead connections (see providers/connection.py).

A lease that was given up is never renewed: otherwise nobody could take its lanes as long as this process lives. It is
revoked as soon as etcd answers, or ends by itself before that.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailroom.coordination import etcd
from mailroom.coordination.etcd import Etcd, Gone
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import Lane

_PREFIX: Final = "/mailroom/lanes/"
_SENDERS: Final = "/mailroom/senders/"
_LANES_A_TRANSACTION: Final = 50  # etcd refuses more than 128 operations; a lane needs three


@dataclass(frozen=True, slots=True)
class TakenLanes:
    """Lanes taken by one attempt, with the create revisions of their keys, and etcd's cluster id and revision."""

    revisions: dict[Lane, int]
    cluster_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class Key:
    """A lane's key with this sender's name in it. `bound`: it belongs to the lease in force, not to an earlier one."""

    lane: Lane
    revision: int  # at which it was created
    bound: bool


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
        self._etcd = Etcd(urls)
        self._sender = sender
        self._ttl_s = ttl_s
        self._margin_s = max(1.0, ttl_s * 0.2)
        self._monotonic = monotonic
        self._changing = threading.Lock()
        self._lease_id: int | None = None
        self._given_up: set[int] = set()  # leases that may still exist
        self.deadline = 0.0  # on the monotonic clock: no call begins after it

    @property
    def held(self) -> bool:
        """True while the lease may be trusted."""
        return self._lease_id is not None and self._monotonic() < self.deadline

    def begin(self) -> None:
        """Give up the lease in force, get a new one, and register this sender under it. Raises Unavailable."""
        self.give_up()
        self.revoke_given_up()
        sent = self._monotonic()
        # We choose the id, so that a lease can be revoked even if the answer to its grant was lost.
        lease_id = secrets.randbits(62) + 1
        self._given_up.add(lease_id)  # until the grant is certain
        self._etcd.grant(lease_id, self._ttl_s)
        self._announce(lease_id)
        with self._changing:
            self._given_up.discard(lease_id)
            self._lease_id = lease_id
            self.deadline = sent + self._ttl_s - self._margin_s

    def give_up(self) -> None:
        """Trust the lease no longer, and never renew it again."""
        with self._changing:
            if self._lease_id is not None:
                self._given_up.add(self._lease_id)
            self._lease_id, self.deadline = None, 0.0

    def revoke_given_up(self) -> None:
        """End leases that were given up, so that their lanes are free at once. Raises Unavailable: ask again."""
        for lease_id in sorted(self._given_up):
            self._etcd.revoke(lease_id)
            self._given_up.discard(lease_id)

    def keep_alive(self) -> bool:
        """Renew. False when etcd knows the lease no more: every lane is lost. Raises Unavailable: ask again."""
        lease_id = self._lease_id
        if lease_id is None:
            return False
        sent = self._monotonic()
        alive = self._etcd.renew(lease_id)
        with self._changing:
            if self._lease_id != lease_id:  # given up or replaced while etcd answered about the old lease
                return self._lease_id is not None
            self._lease_id = lease_id if alive else None
            self.deadline = sent + self._ttl_s - self._margin_s if alive else 0.0
        return alive

    def confirm(self) -> bool:
        """True if our lease exists now, by a linearizable read. Raises Unavailable."""
        lease_id = self._lease_id
        if lease_id is None:
            return False
        found = self._etcd.range(_SENDERS + self._sender).kvs
        return any(kv.lease == lease_id for kv in found)

    def senders(self) -> int:
        """The number of senders, this one included. Raises Unavailable."""
        return int(self._etcd.range(_SENDERS, count_only=True).count)

    def held_by_anybody(self, beginning: str = "") -> set[Lane]:
        """The held lanes whose names begin with `beginning`. Raises Unavailable."""
        found = self._etcd.range(_PREFIX + beginning, keys_only=True).kvs
        return {Lane(kv.key.decode().removeprefix(_PREFIX)) for kv in found}

    def keys_of_ours(self) -> list[Key] | None:
        """Every lane's key with our name in it, by a linearizable read. None if our registration is gone, and so our
        lease. Raises Unavailable."""
        lease_id = self._lease_id
        if lease_id is None:
            return None
        look = [etcd.read(_SENDERS + self._sender), etcd.read_all(_PREFIX)]
        presence, found = self._etcd.transaction(look, purpose="list our lanes").responses
        if not any(kv.lease == lease_id for kv in presence.response_range.kvs):
            return None
        ours = self._sender.encode()
        return [
            Key(Lane(kv.key.decode().removeprefix(_PREFIX)), kv.create_revision, bound=kv.lease == lease_id)
            for kv in found.response_range.kvs
            if kv.value == ours
        ]

    def take(self, lanes: Sequence[Lane]) -> TakenLanes:
        """Take the free ones of these lanes, many in one round trip.

        On Unavailable use none of these lanes. Keys that were created without our knowledge appear in `keys_of_ours`,
        perhaps only later: we may give up before etcd has read the request.
        """
        lease_id = (
            self._lease_id
        )  # once: the heartbeat may lose it meanwhile, and a key without a lease never goes away
        if lease_id is None:
            raise Unavailable("there is no lease to take lanes with")
        revisions: dict[Lane, int] = {}
        cluster_id, revision = "", 0
        for start in range(0, len(lanes), _LANES_A_TRANSACTION):
            batch = lanes[start : start + _LANES_A_TRANSACTION]
            try:
                answer = self._etcd.transaction(
                    [self._take_one(lane, lease_id) for lane in batch], purpose="take lanes"
                )
            except Gone as error:
                raise Unavailable(f"etcd took no lanes: {error}") from error
            cluster_id, revision = str(answer.header.cluster_id), answer.header.revision
            for lane, response in zip(batch, answer.responses, strict=True):
                # Taken now, or by an earlier try whose answer was lost: then our lease is on the key.
                kv = response.response_txn.responses[-1].response_range.kvs
                if kv and kv[0].lease == lease_id:
                    revisions[lane] = kv[0].create_revision
        return TakenLanes(revisions, cluster_id, revision)

    def release(self, revisions: Mapping[Lane, int]) -> None:
        """Give lanes back, so that others need not wait for the lease's end. `revisions`: the create revision of each
        lane's key. A key that was created since stays, so a late release takes no lane from its next holder. Raises
        Unavailable."""
        keys = [(_PREFIX + lane, revision) for lane, revision in revisions.items()]
        for start in range(0, len(keys), _LANES_A_TRANSACTION):
            batch = keys[start : start + _LANES_A_TRANSACTION]
            self._etcd.transaction(
                [etcd.if_created_at(key, revision, then=[etcd.delete(key)]) for key, revision in batch],
                purpose="release lanes",
            )

    def end(self) -> None:
        """Revoke the lease, so that all lanes are free at once. If etcd is away, the TTL frees them."""
        self.give_up()
        with contextlib.suppress(Unavailable):
            self.revoke_given_up()

    def close(self) -> None:
        self._etcd.close()

    def _announce(self, lease_id: int) -> None:
        try:
            self._etcd.transaction(
                [etcd.put(_SENDERS + self._sender, str(lease_id), lease_id=lease_id)], purpose="announce us"
            )
        except Gone as error:
            raise Unavailable(f"the new lease is over already: {error}") from error

    def _take_one(self, lane: Lane, lease_id: int) -> object:
        key = _PREFIX + lane
        take = [etcd.put(key, self._sender, lease_id=lease_id), etcd.read(key)]
        return etcd.if_created_at(key, 0, then=take, otherwise=[etcd.read(key)])
