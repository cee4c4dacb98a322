"""The part of a form that takes recipients: pasted text or a file, the roles of its columns, and the refused lines.

It works without scripts: after an upload the page comes back with the first rows and a choice for each column, and the
form is sent again. The file itself waits in MongoDB (`mailroom.services.schedules.uploads`).
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from flask import Response
from werkzeug.datastructures import FileStorage, MultiDict

from mailroom.domain.audiences import Recipient, Screened, judge, screen
from mailroom.domain.errors import InvalidInput
from mailroom.domain.limits import MAX_RECIPIENTS
from mailroom.domain.lists.columns import Column, Role
from mailroom.domain.lists.reading import Look, look_at, rows_of
from mailroom.domain.lists.rows import RefusedRow
from mailroom.domain.lists.spreadsheets import harmless
from mailroom.domain.lists.texts import ENCODINGS
from mailroom.services.schedules import uploads
from mailroom.storage.database import Db

SHOWN_REFUSED: Final = 50
ROLES: Final = {
    Role.ADDRESS: "Email address",
    Role.NAME: "Name",
    Role.NAME_AND_FIELD: "Name and merge field",
    Role.FIELD: "Merge field",
    Role.TIME_ZONE: "Time zone",
    Role.LANGUAGE: "Language",
    Role.IGNORED: "Do not import",
}


@dataclass(slots=True)
class Given:
    """The recipients of a form, as given and as read. `problems` are for the field, `column_problems` for a column by
    its number. `seen`: the person has seen how the columns are read, and sent the form with that."""

    text: str = ""
    upload: str = ""
    filename: str = ""
    skip: bool = False
    seen: bool = False
    look: Look | None = None
    columns: Sequence[Column] = ()
    screened: Screened | None = None
    problems: list[str] = field(default_factory=list)
    column_problems: dict[int, list[str]] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        return bool(self.text.strip() or self.upload)

    @property
    def table(self) -> bool:
        return self.look is not None and self.look.layout is not None

    @property
    def shape(self) -> str:
        """A digest that changes with another list, or another way to read it: choices for columns are then void."""
        if self.look is None or self.look.layout is None:
            return ""
        said = repr((self.look.encoding, self.look.layout.delimiter, self.look.layout.headings, self.upload))
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def refused(self) -> int:
        return self.screened.refused_count if self.screened else 0

    @property
    def recipients(self) -> Sequence[Recipient]:
        return self.screened.recipients if self.screened else ()

    @property
    def stopped(self) -> bool:
        """True if the list cannot be taken as it stands."""
        return bool(self.problems or self.column_problems or (self.refused and not self.skip))


def read(db: Db, form: MultiDict[str, str], file: FileStorage | None, *, owner: str) -> Given:
    """The recipients of a form. Raises Unavailable."""
    given = Given(text=form.get("recipients", "").replace("\r\n", "\n"), skip=form.get("on_invalid") == "skip")
    data = _data(db, given, form, file, owner)
    if data is None:
        return given
    try:
        given.look = look_at(data, encoding=form.get("encoding") or None if given.upload else None)
        given.columns = given.look.columns
        given.seen = bool(given.shape) and form.get("shape") == given.shape
        if given.seen:
            given.columns = _chosen(form, given.look.columns)
        given.screened = screen(rows_of(data, given.look, given.columns))
    except InvalidInput as error:
        _sort_in(given, error)
    return given


def _data(db: Db, given: Given, form: MultiDict[str, str], file: FileStorage | None, owner: str) -> bytes | None:
    """The list's bytes. A new file takes the place of one before, and a file that of pasted text."""
    if file is not None and file.filename:
        kept = uploads.keep(db, file.read(), file.filename, owner=owner)
        given.upload, given.filename = kept.id, kept.filename
        return kept.data
    if (id_ := form.get("upload", "")) and not form.get("drop_upload"):
        found = uploads.get(db, id_, owner=owner)
        if found is None:
            given.problems.append("The file that was uploaded is not kept any more. Choose it again.")
            return None
        given.upload, given.filename = found.id, found.filename
        return found.data
    return given.text.encode("utf-8", "replace") if given.text.strip() else None


def _chosen(form: MultiDict[str, str], columns: Sequence[Column]) -> list[Column]:
    """The columns as the form chooses them; a merge field without a name keeps its proposed name."""
    chosen = []
    for number, column in enumerate(columns):
        said = form.get(f"role-{number}", "")
        role = Role(said) if said in list(Role) else column.role
        field_ = form.get(f"field-{number}", "").strip() or column.field
        chosen.append(Column(column.heading, role, field_ if role in (Role.FIELD, Role.NAME_AND_FIELD) else ""))
    return chosen


def _sort_in(given: Given, error: InvalidInput) -> None:
    for fault in error.faults:
        if fault.path.startswith("columns["):
            number = int(fault.path.removeprefix("columns[").removesuffix("]"))
            given.column_problems.setdefault(number, []).append(fault.message)
        else:
            given.problems.append(fault.message[:1].upper() + fault.message[1:] + ".")


def problems_of(given: Given, *, asked: bool) -> list[str]:
    """The messages beside the field. `asked`: the person wanted to save the list."""
    problems = list(given.problems)
    if given.column_problems:
        problems.append("Fix the columns below.")
    if asked and not given.any and not problems:
        problems.append("Paste addresses or CSV, or choose a file.")
    if asked and given.screened and not problems:
        if not given.recipients:
            problems.append("No line of this list can be imported.")
        elif given.refused and not given.skip:
            lines = "1 line cannot" if given.refused == 1 else f"{given.refused:,} lines cannot"
            problems.append(f"{lines} be imported. Fix the list, or skip the lines that cannot be imported.")
    return problems


def refused_report(db: Db, form: MultiDict[str, str], *, owner: str) -> Response:
    """Every line that cannot be taken, as CSV: its number, its address, and why."""
    given = Given(text=form.get("recipients", "").replace("\r\n", "\n"))
    data = _data(db, given, form, None, owner) or b""
    given.look = look_at(data, encoding=form.get("encoding") or None if given.upload else None)
    columns = _chosen(form, given.look.columns) if form.get("shape") == given.shape else given.look.columns
    written = io.StringIO()
    out = csv.writer(written)
    out.writerow(["line", "address", "problem"])
    for count, judged in enumerate(judge(rows_of(data, given.look, columns))):
        if isinstance(judged, RefusedRow):
            out.writerow([judged.row, harmless(judged.address), judged.message])
        if count > MAX_RECIPIENTS:
            break
    headers = {"Content-Disposition": 'attachment; filename="refused-lines.csv"'}
    return Response("\ufeff" + written.getvalue(), mimetype="text/csv; charset=utf-8", headers=headers)


def of_page(given: Given) -> dict[str, object]:
    """What the template `_recipients.html` shows."""
    return {"given": given, "roles": ROLES, "encodings": ENCODINGS, "shown_refused": SHOWN_REFUSED}
