"""What a sender has in hand, in bytes: by urgency, from the claim until the outcome is recorded."""

from msgspec.structs import replace

from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import DispatchId
from sender.in_flight import InFlight
from tests.support.builders import a_claimed


def test_bytes_are_counted_by_urgency_until_the_outcome_is_recorded() -> None:
    in_flight = InFlight()
    urgent = replace(a_claimed(), id=DispatchId("m1-d0"), rank=Rank.HIGH, size=7)
    other = replace(a_claimed(), id=DispatchId("m2-d0"), rank=Rank.LOW, size=100)

    in_flight.take([urgent, other])
    taken = [in_flight.bytes_in_hand(urgent=is_urgent) for is_urgent in (True, False)]
    in_flight.done([other])
    in_flight.done([other])  # a result may be recorded again

    assert taken == [7, 100]
    assert [in_flight.bytes_in_hand(urgent=is_urgent) for is_urgent in (True, False)] == [7, 0]
