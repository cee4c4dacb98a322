"""What a sender begins next, where providers take nothing for a while."""

from typing import Any
from unittest.mock import MagicMock

import pytest

from mailroom.services.dispatching import claims
from mailroom.services.dispatching.claims import Waiting
from mailroom.storage.holds import NOTHING_HELD
from sender.feed import Feed
from sender.pace import Pace


def test_what_goes_alone_to_a_provider_that_takes_nothing_keeps_nothing_else_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = Waiting([{"_id": "a", "lane": "schedule/s", "messages": 1}], alone=True)
    asked_for_others: list[Any] = []
    monkeypatch.setattr(claims, "claimable_alone", lambda *_, **__: alone)
    monkeypatch.setattr(claims, "claimable", lambda *_, **__: asked_for_others.append(1) or Waiting())
    pace = Pace(["mailgun"])
    pace.refused("mailgun")
    hands, routes, connections, holding = MagicMock(), MagicMock(), MagicMock(), MagicMock()
    hands.in_hand.return_value = hands.bytes_in_hand.return_value = 0
    connections.limit = connections.room.return_value = 8
    routes.choose.side_effect = lambda waiting: [("mailgun", waiting)]
    holding.on_hold = NOTHING_HELD
    adapter = MagicMock()
    adapter.name = "mailgun"
    back = MagicMock(adapters={"mailgun": adapter})
    others = MagicMock(), MagicMock()
    feed = Feed(
        back, hands, MagicMock(), holding, routes, others[0], pace, connections, others[1], MagicMock(), sender="s"
    )
    now = MagicMock()

    assert feed.send(now) == 0
    feed.send(now)

    assert asked_for_others
