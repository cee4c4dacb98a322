"""How many single mails a search finds. Used by the API and the pages."""

from mailroom.domain.searches import BoundedCount, EmailSearch
from mailroom.storage.database import Db
from mailroom.storage.mails import email_lists


def count(db: Db, search: EmailSearch) -> BoundedCount:
    """How many single mails are found, as far as COUNTED. With a recipient and a tag both, mails to the recipient are
    counted where there are more of those than COUNTED."""
    return email_lists.count(db, search)
