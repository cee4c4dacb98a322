"""What a reader would get: a campaign rendered for one of its recipients, before it goes. Nothing is stored or sent."""

from mailroom.domain.audiences import Recipient
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.feeds.failures import FeedFailed
from mailroom.domain.rendered_mails import RenderedMail, rendered
from mailroom.domain.run_values import FEED, NO_RUN_VALUES, RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.template_spending import CannotRender
from mailroom.feeds.fetching import Fetcher
from mailroom.services.planning.feeds import as_it_is_now
from mailroom.services.schedules.proofs import CampaignProof
from mailroom.services.schedules.readers import Wanted, reader
from mailroom.storage.database import Db


def render(db: Db, proof: CampaignProof, wanted: Wanted, *, link: str, feeds: Fetcher) -> RenderedMail:
    """The mail for one of its recipients, with its feed as it is now. `link`: in place of the reader's own link to
    unsubscribe.

    Raises AudienceNotFound, Unavailable; InvalidInput if the address is not among the recipients, the mail cannot be
    rendered for it, or the feed does not come.
    """
    return render_for(proof.content, reader(db, proof, wanted), link=link, feeds=feeds)


def render_for(content: Content, recipient: Recipient, *, link: str, feeds: Fetcher) -> RenderedMail:
    """As `render`, for this recipient."""
    values = _values(content, feeds)
    try:
        return rendered(content, recipient, values, link=link)
    except CannotRender as error:
        field, _, message = str(error).partition(": ")
        raise InvalidInput(Fault(content.as_written.source_of(field), message)) from None


def _values(content: Content, feeds: Fetcher) -> RunValues:
    """Raises InvalidInput if the feed does not come, or is no feed."""
    if content.feed is None:
        return NO_RUN_VALUES
    try:
        return RunValues.of({FEED: as_it_is_now(feeds, content.feed)})
    except FeedFailed as failed:
        raise InvalidInput(Fault("feed", str(failed))) from None
