"""A master that was replaced and does not know it, and the new one: both answer."""

from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.domain.holds import EVERYTHING
from tests.support.sentinels import Sentinels


class Parted:
    """`old` and `old_holds` stay connected to the replaced master, as a sender does; `new` and `new_holds` are of a
    sender that connects now. `for_good`: they return to the replaced master after a time-out, too; nobody may heal
    it."""

    def __init__(self, group: Sentinels, *, of: str = "tests", for_good: bool = False) -> None:
        self.group, self.master = group, group.master
        old = f"redis://127.0.0.1:{self.master.port}/0" if for_good else group.url
        self.old, self.new = Fences(old, of=of), Fences(group.url, of=of)
        self.old_holds, self.new_holds = Holds(old, of=of), Holds(group.url, of=of)
        self.old.redis_identity()
        self.old_holds.read(EVERYTHING)
        group.part(self.master)
        group.wait_for_another(self.master)

    def forget(self) -> None:
        """Both masters are emptied. The clients stay with theirs."""
        for member in self.group.members:
            with self.group.client(member.port) as redis:
                redis.flushall()
        assert self.old.redis_identity() != self.new.redis_identity()

    def heal(self) -> None:
        """The old master becomes a replica of the new one."""
        self.group.heal(self.master)
        self.group.wait_until_well()

    def close(self) -> None:
        for fences in (self.old, self.new):
            fences.close_client()
        for holds in (self.old_holds, self.new_holds):
            holds.close()
