"""When a sender asks about doubts."""

from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.domain.ids import Lane, Token
from mailroom.services.common.clock import Clocks
from mailroom.storage.database import Db
from sender.in_flight import InFlight
from sender.reconciler import Reconciler
from tests.support.explaining import listened_to


@pytest.mark.parametrize("resting", [True, False])
def test_while_the_sender_rests_nothing_is_asked(db: Db, resting: bool) -> None:
    questions, heard = listened_to(db)
    services: Any = SimpleNamespace(db=heard, fences=None, adapters={}, policy=None)
    in_flight = InFlight()
    in_flight.take_lanes({Lane("mail/0"): Token(1)}, at=0.0)
    reconciler = Reconciler(services, in_flight, Clocks(heard), resting=lambda: resting, sender="s")

    assert not reconciler.step()

    assert (questions.asked == []) is resting
