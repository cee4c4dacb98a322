"""An etcd of this process: leases of the true time, and the keys of lanes that are bound to them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailroom.coordination.leases import Key, TakenLanes
from mailroom.domain.ids import Lane
from tests.interleavings.director import Director, Machine

TTL_S: Final = 10
MARGIN_S: Final = 2


class Etcd:
    """Grants leases and ends them."""

    def __init__(self) -> None:
        self.revision = 100
        self.ends_at: dict[int, int] = {}  # by lease
        self.lanes: dict[Lane, tuple[int, int]] = {}  # lane -> lease, create revision

    def expire(self, now: int) -> None:
        for lease in [lease for lease, at in self.ends_at.items() if at <= now]:
            self.end(lease)

    def end(self, lease: int) -> None:
        self.ends_at.pop(lease, None)
        self.lanes = {lane: held for lane, held in self.lanes.items() if held[0] != lease}


class MemoryLeases:
    """Stands in for mailroom.coordination.leases.Leases, for one machine."""

    def __init__(self, etcd: Etcd, director: Director, machine: Machine) -> None:
        self._etcd, self._director, self._machine = etcd, director, machine
        self._lease: int | None = None
        self._given_up: set[int] = set()
        self._deadline = 0

    @property
    def held(self) -> bool:
        return self._lease is not None and self._machine.clock(self._director.now) < self._deadline

    def begin(self) -> None:
        def grant() -> int:
            self._etcd.revision += 1
            self._etcd.ends_at[self._etcd.revision] = self._director.now + TTL_S
            return self._etcd.revision

        self.give_up()
        self.revoke_given_up()
        sent = self._machine.clock(self._director.now)
        self._lease = self._step("grant", grant)
        self._deadline = sent + TTL_S - MARGIN_S

    def give_up(self) -> None:
        if self._lease is not None:
            self._given_up.add(self._lease)
        self._lease, self._deadline = None, 0

    def revoke_given_up(self) -> None:
        for lease in sorted(self._given_up):
            self._step("revoke", lambda lease=lease: self._etcd.end(lease))
            self._given_up.discard(lease)

    def keep_alive(self) -> bool:
        if self._lease not in self._etcd.ends_at or self._lease is None:
            self._lease, self._deadline = None, 0
            return False
        self._etcd.ends_at[self._lease] = self._director.now + TTL_S
        self._deadline = self._machine.clock(self._director.now) + TTL_S - MARGIN_S
        return True

    def confirm(self) -> bool:
        return self._step("confirm", lambda: self._lease in self._etcd.ends_at, writes=False)

    def held_by_anybody(self, beginning: str = "") -> set[Lane]:
        return {lane for lane in self._etcd.lanes if lane.startswith(beginning)}

    def senders(self) -> int:
        return len(self._etcd.ends_at)

    @property
    def unbelieved_in_s(self) -> int:
        """After so many seconds the lease may not be believed any more, unless it is renewed."""
        return self._deadline - self._machine.clock(self._director.now) if self._lease is not None else 0

    def take(self, lanes: Sequence[Lane]) -> TakenLanes:
        lease = self._lease
        assert lease is not None

        def use() -> TakenLanes:
            etcd = self._etcd
            for lane in lanes:
                if lane not in etcd.lanes and lease in etcd.ends_at:
                    etcd.revision += 1
                    etcd.lanes[lane] = lease, etcd.revision
            mine = {lane: etcd.lanes[lane][1] for lane in lanes if lane in etcd.lanes and etcd.lanes[lane][0] == lease}
            return TakenLanes(mine, "cluster", etcd.revision)

        return self._step("take lanes", use)

    def keys_of_ours(self) -> list[Key] | None:
        lease = self._lease
        if lease is None:
            return None

        def use() -> list[Key] | None:
            if lease not in self._etcd.ends_at:
                return None
            return [Key(lane, made_at, bound=True) for lane, (of, made_at) in self._etcd.lanes.items() if of == lease]

        found: list[Key] | None = self._step("our lanes", use, writes=False)
        return found

    def release(self, revisions: Mapping[Lane, int]) -> None:
        def use() -> None:
            self._etcd.lanes = {lane: held for lane, held in self._etcd.lanes.items() if revisions.get(lane) != held[1]}

        if revisions:
            self._step("release lanes", use)

    def _step(self, words: str, use: Any, *, writes: bool = True) -> Any:
        return self._director.step("etcd", words, use, writes=writes)
