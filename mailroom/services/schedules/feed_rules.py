"""What the settings do not allow of a feed that a person asks for."""

from collections.abc import Sequence

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.feeds.checking import check_feed
from mailroom.domain.feeds.model import FeedFields
from mailroom.domain.feeds.rules import FeedRules


def faults_of(rules: FeedRules, asked: FeedFields | None) -> Sequence[Fault]:
    """Every such fault. None for a feed that is not well-formed, which the check of the draft refuses."""
    try:
        return rules.faults_of(check_feed(asked)) if asked else ()
    except InvalidInput:
        return ()
