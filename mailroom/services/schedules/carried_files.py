"""The files that a rendered mail carries, with their contents."""

from collections.abc import Sequence
from dataclasses import replace

from mailroom.domain.emails.model import Attachment
from mailroom.domain.rendered_mails import RenderedMail
from mailroom.domain.shown_pictures import with_pictures
from mailroom.storage.database import Db
from mailroom.storage.schedules import attachments


def of_mail(db: Db, mail: RenderedMail) -> list[Attachment]:
    """The files of the mail that are stored; those of an unsaved draft are left out. Raises Unavailable."""
    if not mail.files:
        return []
    contents = attachments.get_many(db, {file.digest for file in mail.files})
    return [file.with_content(contents[file.digest]) for file in mail.files if file.digest in contents]


def for_browser(db: Db, mail: RenderedMail, typed: Sequence[Attachment] = ()) -> RenderedMail:
    """The mail with its pictures in its HTML, where a browser shows them. `typed`: files of a form, which are not
    stored yet. Raises Unavailable."""
    return replace(mail, html=with_pictures(mail.html, [*of_mail(db, mail), *typed]))
