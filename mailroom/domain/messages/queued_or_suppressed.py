"""A message as planning writes it: rendered for its recipient, or suppressed, cancelled or failed already."""

from collections.abc import Mapping

from mailroom.domain.audiences import Recipient
from mailroom.domain.erasures import ERASED, ERASED_REASON
from mailroom.domain.ids import message_id
from mailroom.domain.messages.model import Message
from mailroom.domain.messages.states import MessageState
from mailroom.domain.recipient_times import TIME_HAD_PASSED
from mailroom.domain.runs import Run
from mailroom.domain.template_parts import Compiled
from mailroom.domain.template_spending import CannotRender


def planned_message(run: Run, recipient: Recipient, compiled: Compiled, suppressed: Mapping[str, str]) -> Message:
    """The mail of a recipient. If suppressed or unrenderable, it has the reason as its state and stops no other mail.
    Of somebody who was erased since the run's audience was fixed, only the place is there."""
    if recipient.erased:
        id_, suppressed_ = message_id(run.id, recipient.address), MessageState.SUPPRESSED
        return Message(id_, run.id, None, ERASED, "", {}, suppressed_, ERASED_REASON, erased=True)
    state, reason, parts = MessageState.QUEUED, "", {}
    if recipient.key in suppressed:
        state, reason = MessageState.SUPPRESSED, suppressed[recipient.key]
    elif run.unwritten:
        state = MessageState.CANCELLED
    elif run.recipient_time and run.recipient_time.is_late(recipient.time_zone):
        state, reason = MessageState.CANCELLED, TIME_HAD_PASSED
    else:
        try:
            parts = compiled.parts_for(recipient.context())
        except CannotRender as error:
            state, reason = MessageState.FAILED, str(error)
    return Message(
        id=message_id(run.id, recipient.address),
        run_id=run.id,
        dispatch_id=None,
        address=recipient.address,
        name=recipient.name,
        parts=parts,
        state=state,
        reason=reason,
    )
