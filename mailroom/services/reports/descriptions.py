"""What a dispatch is about, in words that a person knows: recipients, subject, campaign. For lists of what is in doubt,
unknown or failed."""

from collections.abc import Collection
from dataclasses import dataclass

from mailroom.domain.ids import DispatchId, EmailId, RunId, ScheduleId
from mailroom.storage.database import Db
from mailroom.storage.dispatches import loads
from mailroom.storage.dispatches.loads import DispatchLoad
from mailroom.storage.mails import email_lists
from mailroom.storage.schedules import schedules, subjects


@dataclass(frozen=True, slots=True)
class Description:
    """`recipients`: at most three addresses, of `recipients_count`. Of a single mail `run_id` and `schedule_id` are
    None and `schedule_name` is ''; of a campaign `email_id` is None. The subject of a campaign stands as it was
    written, with its variables."""

    dispatch_id: DispatchId
    recipients: tuple[str, ...]
    recipients_count: int
    subject: str
    run_id: RunId | None = None
    schedule_id: ScheduleId | None = None
    schedule_name: str = ""
    email_id: EmailId | None = None


def describe(db: Db, ids: Collection[DispatchId]) -> dict[DispatchId, Description]:
    """A description of each of these dispatches that is stored. Four queries, however many dispatches there are."""
    dispatches = loads.of(db, ids)
    campaigns = {(dispatch.schedule_id, dispatch.revision) for dispatch in dispatches.values() if dispatch.schedule_id}
    emails = {EmailId(dispatch.run_id) for dispatch in dispatches.values() if not dispatch.schedule_id}
    names = schedules.names(db, sorted({schedule for schedule, _ in campaigns}))
    about, said = subjects.of_revisions(db, campaigns), email_lists.subjects(db, emails)

    def described(dispatch: DispatchLoad) -> Description:
        people = (dispatch.id, dispatch.addresses, dispatch.messages)
        if dispatch.schedule_id is None:
            email = EmailId(dispatch.run_id)
            return Description(*people, said.get(email, ""), email_id=email)
        subject = about.get((dispatch.schedule_id, dispatch.revision), "")
        name = names.get(dispatch.schedule_id, "")
        return Description(*people, subject, dispatch.run_id, dispatch.schedule_id, name)

    return {id_: described(dispatch) for id_, dispatch in dispatches.items()}
