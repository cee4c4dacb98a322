"""The files that a form brings for a schedule's mails, as the API takes them."""

import base64
from collections.abc import Sequence

from werkzeug.datastructures import FileStorage

from mailroom.domain.limits import MAX_CAMPAIGN_FILES


def read(files: Sequence[FileStorage], html: str) -> list[dict[str, str]]:
    """The chosen files. One whose name stands in the HTML as `cid:name` is shown there, not beside it."""
    chosen = [file for file in files if file.filename][: MAX_CAMPAIGN_FILES + 1]
    return [_attachment(file, file.filename or "", html) for file in chosen]


def _attachment(file: FileStorage, name: str, html: str) -> dict[str, str]:
    return {
        "filename": name,
        "content_type": file.mimetype or "",
        "content": base64.b64encode(file.read()).decode(),
        "content_id": name if f"cid:{name}" in html else "",
    }
