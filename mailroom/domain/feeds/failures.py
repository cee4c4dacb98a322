"""What became of a fetch: closed words, for metrics too, and the error of one that failed."""

from enum import StrEnum

from mailroom.domain.errors import MailroomError


class FeedOutcome(StrEnum):
    FETCHED = "fetched"
    AWAY = "away"  # no connection, or one that broke off
    SLOW = "slow"  # not done within its time
    STATUS = "status"  # another answer than 200; redirects too
    LARGE = "large"
    BAD = "bad"  # what came is no feed, or one beyond the limits
    REFUSED = "refused"  # the settings do not allow it, or its host is not at a public address


class FeedFailed(MailroomError):
    """A feed could not be fetched or read. The message shows no secret and no query of a URL; hosts' words are cut."""

    def __init__(self, outcome: FeedOutcome, why: str) -> None:
        self.outcome = outcome
        super().__init__(why)
