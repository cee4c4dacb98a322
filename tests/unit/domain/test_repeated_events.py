"""An event that comes twice is applied once; a one-time token comes with one event only."""

from mailroom.domain.events import EventKind
from mailroom.domain.repeated_events import Intake, sort_out
from tests.support.builders import an_event


def test_an_event_that_is_stored_or_stands_earlier_in_the_batch_is_a_duplicate() -> None:
    batch = [an_event(EventKind.OPENED, id_=id_) for id_ in ("e1", "e2", "e2")]

    assert sort_out(batch, {"mailgun/e1"}, {}) == [Intake.DUPLICATE, Intake.STORED, Intake.DUPLICATE]


def test_a_one_time_token_comes_again_with_its_own_event_only() -> None:
    first, other = (an_event(EventKind.OPENED, id_=id_, replay_key="t") for id_ in ("e1", "e2"))

    assert sort_out([first, first, other], set(), {}) == [Intake.STORED, Intake.DUPLICATE, Intake.REPLAYED]
    assert sort_out([other], set(), {"t": "mailgun/e1"}) == [Intake.REPLAYED]


def test_the_tokens_of_redeliveries_are_taken_too_and_those_of_replays_are_not() -> None:
    stored, used = {"mailgun/e1"}, {"t": "mailgun/e1"}

    sort_out([an_event(EventKind.OPENED, id_="e1", replay_key="u")], stored, used)
    sort_out([an_event(EventKind.OPENED, id_="e2", replay_key="t")], stored, used)

    assert (stored, used) == ({"mailgun/e1"}, {"t": "mailgun/e1", "u": "mailgun/e1"})
