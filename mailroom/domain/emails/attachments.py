"""Attachments of a single mail: their check, and the largest size of a mail with them."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Final

from mailroom.domain.emails.content_types import parse_content_type
from mailroom.domain.emails.model import Attachment, Body
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_ATTACHMENTS, MAX_CONTENT_TYPE, MAX_FILENAME, MAX_MAIL_BYTES

_IN_NO_FILENAME: Final = re.compile(r"[\x00-\x1f\x7f/\\]|=\?")  # the last alternative begins an encoded word
_CONTENT_ID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@\[\]:-]{1,128}")


def check_attachments(given: Sequence[Mapping[str, str]], faults: list[Fault]) -> list[Attachment]:
    """The attachments without a fault. The faults of all others are added to `faults`."""
    attachments = [_attachment(raw, f"attachments[{n}]", faults) for n, raw in enumerate(given)]
    if len(given) > MAX_ATTACHMENTS:
        faults.append(Fault("attachments", f"at most {MAX_ATTACHMENTS}"))
    return [attachment for attachment in attachments if attachment is not None]


def check_size(body: Body) -> None:
    """Raises InvalidInput if texts and attachments are too large together."""
    if body.size > MAX_MAIL_BYTES:
        words = f"bodies and attachments have {body.size:,} bytes together; {MAX_MAIL_BYTES:,} fit"
        raise InvalidInput(Fault("attachments" if body.attachments else "text", words))


def _attachment(raw: Mapping[str, str], path: str, faults: list[Fault]) -> Attachment | None:
    filename, kind = raw["filename"], raw.get("content_type") or "application/octet-stream"
    content_id = raw.get("content_id") or ""
    before = len(faults)
    if not filename.strip() or len(filename) > MAX_FILENAME or _IN_NO_FILENAME.search(filename):
        faults.append(Fault(f"{path}.filename", f"1 to {MAX_FILENAME} characters, no slash, no control character"))
    try:
        kind = str(parse_content_type(kind))
    except ValueError as error:
        faults.append(Fault(f"{path}.content_type", str(error)))
    if len(kind) > MAX_CONTENT_TYPE:
        faults.append(Fault(f"{path}.content_type", f"at most {MAX_CONTENT_TYPE} characters"))
    if content_id and not _CONTENT_ID.fullmatch(content_id):
        faults.append(Fault(f"{path}.content_id", "1 to 128 characters; no space, quote, comma, < > ( ) ; or \\"))
    try:
        # Many encoders break lines, as RFC 2045 requires.
        content = base64.b64decode("".join(raw["content"].split()), validate=True)
    except (binascii.Error, ValueError):
        faults.append(Fault(f"{path}.content", "is not base64"))
        return None
    return Attachment(filename, kind, content, content_id) if len(faults) == before else None
