"""Rules that each sender, or each process, must know before anything is stored under them. One that does not know a
rule would break it.

A sender tells the number of its protocol when it checks in. Senders from before that number count as 0. Every sender
that checks in heeds the switch for all sending, pauses of runs and the scopes of suppressions: these came before the
first check-in, and need no entry here.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mailroom.domain.errors import SendersTooOld
from mailroom.domain.workers import Worker, WorkerKind

PROTOCOL: Final = 6  # of this code; raise it with each rule that an earlier sender would break
#: A sender without a check-in for so long has ended. Until then a frozen one may wake up and go on.
MAY_WAKE_FOR: Final = timedelta(hours=1)


class SenderRule(StrEnum):
    """A rule, by the words in which its refusal names it."""

    ELSEWHERE = "on_doubt 'elsewhere'"  # an earlier sender may take the second dispatch to the first provider
    TOPICS = "a topic"  # an earlier sender mails to readers who have left it, and writes no link to leave it
    AUDIENCES = "a changed audience"  # an earlier sender mails to contacts who have left it, or came later
    HEADERS = "headers of a schedule"  # an earlier sender leaves them out
    BODIES_IN_S3 = "a body in S3"  # an earlier sender takes it for gone, and lets its mail fail
    RECIPIENT_TIME = "delivery 'recipient_time'"  # an earlier sender mails to everybody at once
    ATTACHMENTS = "attachments of a schedule"  # an earlier sender leaves them out
    HTML_VALUES = "values that are HTML"  # an earlier sender has no filter `safe`, and refuses their mails
    ERASURES = "the erasure of a person"  # an earlier sender mails to them, and stores events with their address
    FEEDS = "a feed"  # an earlier sender mails without the feed, and its API edits the feed away


#: The first protocol that knows the rule.
KNOWN_SINCE: Final[Mapping[SenderRule, int]] = {
    SenderRule.ELSEWHERE: 1,
    SenderRule.BODIES_IN_S3: 1,
    SenderRule.TOPICS: 2,
    SenderRule.AUDIENCES: 3,
    SenderRule.FEEDS: 4,
    SenderRule.HEADERS: 4,
    SenderRule.RECIPIENT_TIME: 5,
    SenderRule.ATTACHMENTS: 5,
    SenderRule.HTML_VALUES: 5,
    SenderRule.ERASURES: 6,
}


#: Rules that API, pages and webhooks-in must know too: an earlier one edits them away, does not answer links, or runs a
#: schedule now as if its audience had never changed.
OF_EVERY_PART: Final = frozenset(
    {
        SenderRule.TOPICS,
        SenderRule.AUDIENCES,
        SenderRule.FEEDS,
        SenderRule.HEADERS,
        SenderRule.RECIPIENT_TIME,
        SenderRule.ATTACHMENTS,
        SenderRule.ERASURES,
    }
)


def require_known(rule: SenderRule, workers: Iterable[Worker], *, now: datetime) -> None:
    """Raises SendersTooOld if a worker among these may still run, must know the rule, and does not."""
    concerned = [worker for worker in workers if rule in OF_EVERY_PART or worker.kind == WorkerKind.SENDER]
    old = [one for one in concerned if _may_run(one, now) and (one.protocol or 0) < KNOWN_SINCE[rule]]
    if old:
        raise SendersTooOld(rule, [_in_words(worker, now) for worker in old])


def _may_run(worker: Worker, now: datetime) -> bool:
    return now - worker.last_check_in <= MAY_WAKE_FOR


def _in_words(worker: Worker, now: datetime) -> str:
    ago = max(0, round((now - worker.last_check_in).total_seconds()))
    return f"{worker.id} (last check-in {ago} s ago)"
