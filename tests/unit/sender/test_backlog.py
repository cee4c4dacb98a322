"""What a look noted, for the rounds after it."""

from datetime import UTC, datetime
from itertools import islice

from mailroom.domain.dispatches.model import InQueue
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import DispatchId, Lane
from sender.backlog import Backlog

NOON = datetime(2026, 12, 2, 12, 0, tzinfo=UTC)
A, B, C = (InQueue(Rank.CAMPAIGN, NOON, DispatchId(name), Lane("mail/0")) for name in "abc")


def test_what_was_noted_is_told_in_its_order_a_part_at_a_time() -> None:
    backlog = Backlog()
    backlog.note([A, B, C], beyond=False)

    ids = backlog.ids()
    assert (list(islice(ids, 2)), list(ids)) == (["a", "b"], ["c"])


def test_what_is_dropped_is_told_no_more() -> None:
    backlog = Backlog()
    backlog.note([A, B, C], beyond=False)
    backlog.drop(["b", "another"])

    assert list(backlog.ids()) == ["a", "c"]


def test_it_is_used_up_only_where_others_are_due_after_those_that_were_noted() -> None:
    backlog = Backlog()
    assert not backlog.used_up

    for beyond in (False, True):
        backlog.note([A], beyond=beyond)
        assert not backlog.used_up
        backlog.drop(["a"])
        assert backlog.used_up is beyond

    backlog.forget()
    assert not backlog.used_up


def test_its_rank_is_that_of_the_first() -> None:
    backlog = Backlog()
    assert backlog.rank is None

    backlog.note([InQueue(Rank.HIGH, NOON, DispatchId("urgent"), Lane("mail/0")), A], beyond=False)
    assert backlog.rank is Rank.HIGH


def test_what_waits_in_lanes_that_are_left_out_stays_noted() -> None:
    backlog, theirs = Backlog(), Lane("schedule/s")
    backlog.note([A, InQueue(Rank.CAMPAIGN, NOON, DispatchId("d"), theirs), B], beyond=False)

    assert list(backlog.ids(leave_out={theirs})) == ["a", "b"]
    assert backlog.lanes_among({theirs, Lane("schedule/t")}) == {theirs}
    assert list(backlog.ids()) == ["a", "d", "b"]
