"""Connections to providers: made in the background, and again after whatever went wrong."""

import errno

from sender.connections import Connections
from sender.reachability import Reachability


class Open:
    """A connection that is there at once."""

    def open(self) -> None:
        pass

    def usable(self) -> bool:
        return True

    def close(self) -> None:
        pass


class Scarce(Open):
    """While there are no file descriptors left, it cannot even be made."""

    left = False

    def __init__(self) -> None:
        if not self.left:
            raise OSError(errno.EMFILE, "Too many open files")


class Broken(Open):
    closed = 0

    def open(self) -> None:
        raise ValueError("of a kind that nobody thought of")

    def close(self) -> None:
        type(self).closed += 1


def connections(make: type[Open], told: list[str]) -> Connections:
    reachability = Reachability(["smtp"], told.append)
    made = {"smtp": make}
    return Connections(made, most={"smtp": 8}, limit=8, reserved=0, reachability=reachability)  # type: ignore[arg-type]


def test_a_connection_that_could_not_be_made_is_reported_and_made_once_it_can_be() -> None:
    told: list[str] = []
    made = connections(Scarce, told)

    assert made.lend("smtp", 8, lambda: True) == []
    assert told == ["smtp"]
    Scarce.left = True
    assert len(made.lend("smtp", 8, lambda: True)) == 8
    made.close()


def test_whatever_an_opening_raises_the_provider_is_out_of_reach_and_nothing_leaks() -> None:
    told: list[str] = []
    made = connections(Broken, told)

    assert made.lend("smtp", 3, lambda: True) == []

    assert told == ["smtp"]
    assert Broken.closed == 3
    made.close()
