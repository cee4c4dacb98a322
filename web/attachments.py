"""The files that a form brings for a schedule's mails, as the API takes them. A browser sends a chosen file once: so a
form that comes back carries what was chosen along, in fields that are not seen."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Final

from werkzeug.datastructures import FileStorage, MultiDict

from mailroom.domain.limits import MAX_CAMPAIGN_FILES

CARRIED: Final = "attached"  # the name of such a field
DROPPED: Final = "drop_files"
_PARTS: Final = ("filename", "content_type", "content")


def read(files: Sequence[FileStorage], form: MultiDict[str, str], html: str) -> list[dict[str, str]]:
    """The files that the form carries along, and those chosen now; of one name the one chosen now. A file whose name
    stands in the HTML as `cid:name` is shown there, not beside it."""
    chosen = [_parts_of(file) for file in files if file.filename][: MAX_CAMPAIGN_FILES + 1]
    texts = [] if form.get(DROPPED) else form.getlist(CARRIED)[: MAX_CAMPAIGN_FILES + 1]
    found = {parts["filename"]: parts for parts in [*filter(None, map(_read, texts)), *chosen]}
    return [{**parts, "content_id": _id_in(html, parts["filename"])} for parts in found.values()]


def carried(files: Sequence[Mapping[str, str]]) -> list[str]:
    """The values of the fields by which a form carries these files along."""
    return [json.dumps({name: file[name] for name in _PARTS}) for file in files]


def _parts_of(file: FileStorage) -> dict[str, str]:
    content = base64.b64encode(file.read()).decode()
    return {"filename": file.filename or "", "content_type": file.mimetype or "", "content": content}


def _read(text: str) -> dict[str, str] | None:
    """None for what no form of ours has carried along."""
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(parts, dict) and all(isinstance(parts.get(name), str) for name in _PARTS)
    return {name: parts[name] for name in _PARTS} if whole else None


def _id_in(html: str, name: str) -> str:
    return name if f"cid:{name}" in html else ""
