"""Files that a campaign carries: beside each of its mails, or shown inside their HTML (`cid:...`)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailroom.domain.emails.attachments import check_attachments
from mailroom.domain.emails.model import Attachment
from mailroom.domain.errors import Fault
from mailroom.domain.limits import MAX_CAMPAIGN_FILES, MAX_CAMPAIGN_FILES_BYTES


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file without its content. `digest`: the SHA-256 of that, in hexadecimal: its name among the stored ones. With a
    `content_id` it is shown inside the HTML, not beside it. `size`: bytes."""

    filename: str
    content_type: str
    content_id: str
    digest: str
    size: int

    def with_content(self, content: bytes) -> Attachment:
        return Attachment(self.filename, self.content_type, content, self.content_id)


def attached(file: Attachment) -> AttachedFile:
    digest = hashlib.sha256(file.content).hexdigest()
    return AttachedFile(file.filename, file.content_type, file.content_id, digest, len(file.content))


def check_files(given: Sequence[Mapping[str, str]], faults: list[Fault]) -> tuple[Attachment, ...]:
    """The files of a campaign, for the rules of single mails and a few more. The faults are added to `faults`."""
    if len(given) > MAX_CAMPAIGN_FILES:
        faults.append(Fault("attachments", f"at most {MAX_CAMPAIGN_FILES}"))
        return ()
    files = check_attachments(given, faults)
    size = sum(len(file.content) for file in files)
    if size > MAX_CAMPAIGN_FILES_BYTES:
        words = f"have {size:,} bytes together; {MAX_CAMPAIGN_FILES_BYTES:,} fit: link to larger files"
        faults.append(Fault("attachments", words))
    ids = [file.content_id for file in files if file.content_id]
    if twice := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        faults.append(Fault("attachments", f"the content_id {twice[0]} is there twice"))
    return tuple(files)


def size_of(files: Sequence[AttachedFile]) -> int:
    return sum(file.size for file in files)
