"""A single mail that goes by another provider while its first call is in doubt: what its recipients are told, and
whether it went twice."""

import pytest

from mailroom.domain.dispatches.elsewhere import First, WentTwice, others, trigger_for_messages, went_twice
from mailroom.domain.dispatches.states import TELLS_MESSAGES, DispatchState
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.ids import DispatchId, child_dispatch_id, elsewhere_dispatch_id, root_of, run_of_dispatch
from mailroom.domain.messages.states import MessageTrigger
from mailroom.services.common.idempotency import digest_of_request

S, T = DispatchState, MessageTrigger
FIRST = DispatchId("em_1-d00000")


def test_it_goes_by_the_others_in_their_order() -> None:
    assert others(["ses", "mailgun", "smtp"], "mailgun") == ("ses", "smtp")
    assert others(["mailgun"], "mailgun") == ()


@pytest.mark.parametrize("first", list(First))
@pytest.mark.parametrize("state", [S.PENDING, S.SENDING, S.IN_DOUBT])
def test_while_the_second_is_under_way_the_mail_is_in_doubt(state: DispatchState, first: First) -> None:
    assert trigger_for_messages(state, first) is T.IN_DOUBT


@pytest.mark.parametrize("state", [S.FAILED, S.CANCELLED, S.UNKNOWN])
def test_where_the_second_ends_without_a_yes_the_mail_is_as_its_first_call(state: DispatchState) -> None:
    """A mail is never called failed while its first call may have been accepted."""
    assert trigger_for_messages(state, First.IN_DOUBT) is T.IN_DOUBT
    assert trigger_for_messages(state, First.UNKNOWN) is T.UNKNOWN


@pytest.mark.parametrize("first", [None, *First])
def test_a_yes_of_the_second_is_a_yes(first: First | None) -> None:
    assert trigger_for_messages(S.ACCEPTED, first) is T.SENT


@pytest.mark.parametrize("state", list(DispatchState))
def test_without_an_open_first_call_a_dispatch_speaks_for_itself(state: DispatchState) -> None:
    assert trigger_for_messages(state, None) is TELLS_MESSAGES.get(state)


@pytest.mark.parametrize(
    ("first", "first_accepted", "second_accepted", "verdict"),
    [
        (S.IN_DOUBT, False, False, WentTwice.NO),
        (S.IN_DOUBT, False, True, WentTwice.MAYBE),
        (S.UNKNOWN, False, True, WentTwice.MAYBE),
        (S.CANCELLED, False, True, WentTwice.NO),
        (S.ACCEPTED, True, False, WentTwice.NO),
        (S.ACCEPTED, True, True, WentTwice.YES),
    ],
)
def test_it_went_twice_where_both_were_accepted_and_perhaps_where_nobody_knows(
    first: DispatchState, first_accepted: bool, second_accepted: bool, verdict: WentTwice
) -> None:
    assert went_twice(first=first, first_accepted=first_accepted, second_accepted=second_accepted) is verdict


def test_the_second_dispatch_has_a_name_of_its_own_that_follows_from_the_first() -> None:
    part = child_dispatch_id(FIRST, [])
    seconds = {elsewhere_dispatch_id(FIRST), elsewhere_dispatch_id(part)}

    assert len(seconds) == 2
    for second in seconds:
        assert run_of_dispatch(second) == "em_1"
        assert root_of(second) == second  # its parts are never taken for parts of the first
        assert child_dispatch_id(second, []) != part


def test_a_key_compares_on_doubt_only_where_it_was_given() -> None:
    """Digests that are stored already know nothing of it."""
    plain = EmailDraft(sender="a@example.org", to=["b@example.org"])
    waits = EmailDraft(sender="a@example.org", to=["b@example.org"], on_doubt="wait")
    elsewhere = EmailDraft(sender="a@example.org", to=["b@example.org"], on_doubt="elsewhere")

    assert digest_of_request(plain) == digest_of_request(waits) != digest_of_request(elsewhere)
    assert digest_of_request(plain) == "8ee7ef2a6f69b6dd115fe6929269e1f615afbfb0c6fd434227691953355dbb87"
