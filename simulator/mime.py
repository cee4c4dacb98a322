"""A call to `/messages.mime`: the message is read as a receiving mail program would read it."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

from simulator.files import INLINE, File
from simulator.requests import Refused

_NOT_SHOWN: Final = {"from", "to", "cc", "subject", "mime-version", "content-type", "content-transfer-encoding", "date"}


def fields_of(raw: bytes) -> dict[str, list[str]]:
    """The message's own fields in the words of the plain form. Raises Refused for what is no message."""
    message = message_from_bytes(raw, policy=policy.SMTP)
    if not isinstance(message, EmailMessage) or not message["From"]:
        raise Refused("'message' parameter is not a file")
    bodies = {kind: message.get_body(preferencelist=(kind,)) for kind in ("plain", "html")}
    fields = {
        "from": [str(message["From"])],
        "subject": [str(message["Subject"] or "")],
        "text": [bodies["plain"].get_content()] if bodies["plain"] else [],
        "html": [bodies["html"].get_content()] if bodies["html"] else [],
        "shown-to": [str(message["To"] or "")],
        "shown-cc": [str(message["Cc"] or "")],
    }
    for name, value in message.items():
        if name.lower() not in _NOT_SHOWN:
            fields[f"h:{'Message-Id' if name.lower() == 'message-id' else name}"] = [str(value)]
    return fields


def files_of(raw: bytes) -> list[File]:
    """The message's attachments, inline ones among them."""
    message = message_from_bytes(raw, policy=policy.SMTP)
    found = []
    for part in message.walk():
        if part.get_filename() and isinstance(part, EmailMessage):
            content = bytes(part.get_payload(decode=True) or b"")
            kind = INLINE if part.get_content_disposition() == INLINE else "attachment"
            content_id = str(part["Content-ID"] or "").strip().strip("<>")
            found.append(File(kind, part.get_filename() or "", part.get_content_type(), content, content_id))
    return found
