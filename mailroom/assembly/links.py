"""Build the makers and readers of signed links and return paths."""

from config.settings import Settings, Web
from mailroom.domain.confirm_links import ConfirmLinks
from mailroom.domain.return_paths import ReturnPaths
from mailroom.domain.unsubscribe_links import UnsubscribeLinks


def build_links(web: Web) -> UnsubscribeLinks:
    """Build the maker and reader of unsubscribe links."""
    return UnsubscribeLinks(web.public_url, web.secret_keys, retired=web.retired_keys, mailbox=web.unsubscribe_mailbox)


def build_confirm_links(web: Web) -> ConfirmLinks:
    """Build the maker and reader of links that confirm a subscription."""
    return ConfirmLinks(web.public_url, web.secret_keys)


def build_return_paths(settings: Settings) -> ReturnPaths:
    """Build the maker and reader of return paths."""
    web = settings.web
    return ReturnPaths(settings.returned_mail.return_path, web.secret_keys, retired=web.retired_keys)
