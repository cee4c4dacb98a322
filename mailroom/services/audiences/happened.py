"""What contacts did with earlier mail: which of them opened, clicked or got one of the last runs to an audience."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from mailroom.domain.ids import AudienceId
from mailroom.storage.database import Db
from mailroom.storage.messages import people
from mailroom.storage.schedules import run_lists


def addresses_that(
    db: Db, audience: AudienceId, asked: Collection[tuple[str, int]], keys: Sequence[str], *, before: datetime
) -> Mapping[tuple[str, int], Collection[str]]:
    """For each event and number of runs that is asked for: the folded addresses among these of which one of the last so
    many runs to the audience tells the event. Runs that were due before `before` count; resends and skipped runs do
    not."""
    if not asked or not keys:
        return dict.fromkeys(asked, frozenset())
    runs = run_lists.latest_to(db, audience, before=before, limit=max(number for _, number in asked))
    told = [(message.run_id, message) for message in people.signs(db, keys, of=runs)]
    return {
        (event, number): {sign.key for run, sign in told if run in runs[:number] and sign.tells(event)}
        for event, number in asked
    }
