"""The tables: messages, dispatches that were abandoned, retries."""

from datetime import timedelta
from itertools import permutations

import pytest

from mailroom.domain.dispatches.fences import Fence, FenceState, Finding, judge_abandoned
from mailroom.domain.dispatches.outcomes import Refusal, Refused
from mailroom.domain.dispatches.retry_or_halve import Divide, GiveUp, TryAgain, after_refusal
from mailroom.domain.events import EventKind, SuppressionReason, suppresses
from mailroom.domain.ids import ClaimId
from mailroom.domain.messages.event_effects import effect_of
from mailroom.domain.messages.states import MOVES, MessageState, MessageTrigger
from tests.support.builders import NOW, an_event

S, L = MessageState, MessageTrigger


def end_state(*learnt: MessageTrigger) -> MessageState:
    state = S.QUEUED
    for step in learnt:
        leaves, leads_to = MOVES[step]
        state = leads_to if state in leaves else state
    return state


@pytest.mark.parametrize(
    ("story", "state"),
    [
        ([L.SENT, L.DELIVERED], S.DELIVERED),
        ([L.DELIVERED, L.SENT], S.DELIVERED),
        ([L.SENT, L.DEFERRED, L.DELIVERED], S.DELIVERED),
        ([L.SENT, L.DELIVERED, L.DEFERRED], S.DELIVERED),
        ([L.SENT, L.DELIVERED, L.BOUNCED], S.DELIVERED),
        ([L.SENT, L.DELIVERED, L.BOUNCED_LATE], S.BOUNCED),
        ([L.SENT, L.BOUNCED_LATE, L.DELIVERED], S.BOUNCED),
        ([L.IN_DOUBT, L.DELIVERED], S.DELIVERED),
        ([L.IN_DOUBT, L.NOT_SENT], S.QUEUED),
        ([L.IN_DOUBT, L.UNKNOWN, L.SENT], S.SENT),
        ([L.IN_DOUBT, L.UNKNOWN, L.NOT_SENT], S.QUEUED),
        ([L.IN_DOUBT, L.CANCELLED], S.CANCELLED),
        ([L.SENT, L.UNKNOWN], S.SENT),
        ([L.SENT, L.IN_DOUBT], S.SENT),
        ([L.CANCELLED, L.SENT], S.SENT),
        ([L.SENT, L.CANCELLED], S.SENT),
        ([L.REFUSED, L.DELIVERED], S.DELIVERED),
    ],
)
def test_a_message_ends_where_its_story_leads(story: list[MessageTrigger], state: MessageState) -> None:
    assert end_state(*story) is state


def test_a_delivered_mail_is_delivered_in_whatever_order_its_events_come() -> None:
    for story in permutations([L.SENT, L.DEFERRED, L.DELIVERED]):
        assert end_state(*story) is S.DELIVERED


def test_any_event_about_a_mail_proves_that_it_was_sent() -> None:
    assert effect_of(an_event(EventKind.OPENED)).earliest["sent_at"] == NOW


def test_a_machines_open_is_counted_apart_and_opens_nothing() -> None:
    effect = effect_of(an_event(EventKind.OPENED, by_machine=True))

    assert effect.counts == {"machine_opens": 1}
    assert "first_opened_at" not in effect.earliest


def test_an_unknown_event_changes_nothing() -> None:
    effect = effect_of(an_event(EventKind.UNKNOWN))

    assert (effect.learnt, effect.earliest, effect.counts) == (None, {}, {})


@pytest.mark.parametrize(
    ("kind", "hard", "reason"),
    [
        (EventKind.BOUNCED, True, SuppressionReason.BOUNCED),
        (EventKind.BOUNCED, False, None),
        (EventKind.COMPLAINED, False, SuppressionReason.COMPLAINED),
        (EventKind.UNSUBSCRIBED, False, SuppressionReason.UNSUBSCRIBED),
        (EventKind.OPENED, False, None),
    ],
)
def test_an_event_suppresses_its_recipient_where_nothing_more_may_go_there(
    kind: EventKind, hard: bool, reason: SuppressionReason | None
) -> None:
    assert suppresses(an_event(kind, hard=hard)) is reason


MINE, OTHER, CLEARED = ClaimId("mine"), ClaimId("other"), ClaimId("cleared")


def fence(state: FenceState, by: ClaimId = MINE, *, digest: str = "d") -> Fence:
    return Fence(state, claim_id=by, digest=digest)


@pytest.mark.parametrize(
    ("found", "unchanged", "finding"),
    [
        (fence(FenceState.DONE), True, Finding.ACCEPTED),
        (fence(FenceState.DONE), False, Finding.ACCEPTED),
        (fence(FenceState.DONE, OTHER), True, Finding.ACCEPTED),
        (fence(FenceState.DONE, digest="other"), True, Finding.IN_DOUBT),
        (fence(FenceState.CROSSED), True, Finding.IN_DOUBT),
        (fence(FenceState.CROSSED), False, Finding.IN_DOUBT),
        (fence(FenceState.CROSSED, OTHER), True, Finding.IN_DOUBT),
        (fence(FenceState.CROSSED, CLEARED), True, Finding.NOT_CALLED),
        (fence(FenceState.CROSSED, CLEARED), False, Finding.IN_DOUBT),
        (fence(FenceState.RELEASED), True, Finding.NOT_CALLED),
        (fence(FenceState.RELEASED), False, Finding.NOT_CALLED),
        (fence(FenceState.RELEASED, OTHER), True, Finding.NOT_CALLED),
        (fence(FenceState.RELEASED, OTHER), False, Finding.IN_DOUBT),
        (Fence(FenceState.NONE), True, Finding.NOT_CALLED),
        (Fence(FenceState.NONE), False, Finding.IN_DOUBT),
        (fence(FenceState.SPLIT, OTHER), True, Finding.SPLIT),
        (fence(FenceState.SPLIT), False, Finding.SPLIT),
        (fence(FenceState.SPLIT, digest="other"), True, Finding.IN_DOUBT),
    ],
)
def test_an_abandoned_dispatch_is_judged_by_its_fence(found: Fence, unchanged: bool, finding: Finding) -> None:
    judged = judge_abandoned(found, claim=MINE, cleared=[CLEARED], digest="d", memory_unchanged=unchanged)

    assert judged is finding


DELAYS = [timedelta(minutes=10), timedelta(minutes=20)]


@pytest.mark.parametrize(
    ("kind", "tries", "retry_after", "expected"),
    [
        (Refusal.TEMPORARY, 0, None, TryAgain(NOW + DELAYS[0], True)),
        (Refusal.TEMPORARY, 1, None, TryAgain(NOW + DELAYS[1], True)),
        (Refusal.TEMPORARY, 2, None, GiveUp()),
        (Refusal.TEMPORARY, 0, timedelta(hours=1), TryAgain(NOW + timedelta(hours=1), True)),
        (Refusal.PERMANENT, 0, None, GiveUp()),
        (Refusal.NOT_CALLED, 9, None, TryAgain(NOW, False)),
        (Refusal.ACCOUNT, 9, timedelta(seconds=120), TryAgain(NOW + timedelta(seconds=120), False)),
        (Refusal.ACCOUNT, 9, timedelta(days=9), TryAgain(NOW + timedelta(hours=6), False)),
    ],
)
def test_a_refused_dispatch_is_tried_again_or_given_up_by_kind_and_tries(
    kind: Refusal, tries: int, retry_after: timedelta | None, expected: TryAgain | GiveUp
) -> None:
    refused = Refused(kind, "why", retry_after=retry_after)

    assert after_refusal(refused, attempt=1, tries=tries, messages=9, delays=DELAYS, now=NOW) == expected


def test_a_batch_refused_for_a_recipient_is_halved_until_the_refused_one_stands_alone() -> None:
    refused = Refused(Refusal.RECIPIENT, "to parameter is not a valid address")

    assert after_refusal(refused, attempt=1, tries=0, messages=2, delays=DELAYS, now=NOW) == Divide(1)
    assert after_refusal(refused, attempt=1, tries=0, messages=1, delays=DELAYS, now=NOW) == GiveUp()
