"""The files that campaigns carry, for the calls of a sender: those used last stay in memory, up to a bounded size."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from mailroom.domain.emails.model import Attachment
from mailroom.domain.schedules import Content
from mailroom.storage.database import Db
from mailroom.storage.schedules import attachments

_MOST_BYTES: Final = 32 * 1024 * 1024


class FilesOfCampaigns:
    """For one thread."""

    def __init__(self, db: Db) -> None:
        self._db = db
        self._cache: OrderedDict[str, bytes] = OrderedDict()

    def load(self, contents: Iterable[Content]) -> None:
        """Have the files of these contents at hand. Raises Unavailable."""
        needed = dict.fromkeys(file.digest for content in contents for file in content.files)
        if missing := [digest for digest in needed if digest not in self._cache]:
            self._cache |= attachments.get_many(self._db, missing)
        for digest in needed:
            if digest in self._cache:
                self._cache.move_to_end(digest)
        while len(self._cache) > len(needed) and sum(map(len, self._cache.values())) > _MOST_BYTES:
            self._cache.popitem(last=False)

    def of(self, content: Content) -> tuple[Attachment, ...]:
        """The files of a content that is loaded. Raises ValueError if one is not stored any more."""
        if missing := [file.filename for file in content.files if file.digest not in self._cache]:
            raise ValueError(f"its file {missing[0]} is no longer stored")
        return tuple(file.with_content(self._cache[file.digest]) for file in content.files)
