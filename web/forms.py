"""The schedule form: from typed fields to a Draft, and back from what was refused to the fields beside it."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from mailroom.domain.drafts import Draft
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.recurrence.model import Kind
from mailroom.services.schedules.view import StoredSchedule
from web.recipients import Given, problems_of

UNITS: Final = {"minutes": 60, "hours": 3600, "days": 86_400}
_FIELDS: Final = (
    "name", "from", "reply_to", "subject", "text", "html", "recipients", "audience", "kind", "at", "cron", "rrule",
    "every", "unit", "time_zone", "starts_at", "ends_at", "max_runs", "misfire", "grace_minutes", "tags",
    "nonce", "version",
)  # fmt: skip
_DEFAULTS: Final = {
    "kind": "once", "unit": "hours", "time_zone": "UTC", "misfire": "run_once", "grace_minutes": "60", "every": "24",
    "cron": "0 9 * * 1-5", "rrule": "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0",
}  # fmt: skip
# Where the message for a path of the domain belongs in the form.
_BESIDE: Final = {
    "recurrence.at": "at",
    "recurrence.seconds": "every",
    "recurrence.time_zone": "time_zone",
    "recurrence.starts_at": "starts_at",
    "recurrence.ends_at": "ends_at",
    "recurrence.max_runs": "max_runs",
    "recurrence.kind": "kind",
    "misfire.grace_s": "grace_minutes",
    "misfire.policy": "misfire",
}


@dataclass(slots=True)
class ScheduleForm:
    """What was typed, and the messages beside the fields."""

    typed: dict[str, str]
    errors: dict[str, list[str]] = field(default_factory=dict)
    given: Given = field(default_factory=Given)

    @classmethod
    def empty(cls) -> "ScheduleForm":
        """A new form; its nonce makes a form that is sent twice one schedule."""
        return cls({name: _DEFAULTS.get(name, "") for name in _FIELDS} | {"nonce": secrets.token_hex(16)})

    @classmethod
    def sent(cls, form: MultiDict[str, str], given: Given) -> "ScheduleForm":
        """The form as it came, with the recipients that were read from it."""
        return cls({name: form.get(name, "").replace("\r\n", "\n") for name in _FIELDS}, given=given)

    @classmethod
    def of(cls, stored: StoredSchedule) -> "ScheduleForm":
        """A stored schedule, to be edited. Its recipients stay unless new ones are given."""
        schedule, content, rule = stored.schedule, stored.content, stored.schedule.recurrence
        typed = cls.empty().typed | {
            "name": schedule.name,
            "from": content.sender,
            "reply_to": content.reply_to,
            "subject": content.subject,
            "text": content.text,
            "html": content.html,
            "kind": rule.kind,
            "time_zone": rule.time_zone,
            "at": rule.at.isoformat() if rule.at else "",
            "starts_at": _local(rule.starts_at, rule.zone),
            "ends_at": _local(rule.ends_at, rule.zone),
            "max_runs": str(rule.max_runs or ""),
            "misfire": schedule.misfire.policy,
            "grace_minutes": f"{schedule.misfire.grace_s / 60:g}",
            "tags": ", ".join(content.tags),
            "version": str(schedule.version),
        }
        if rule.kind in (Kind.CRON, Kind.RRULE):
            typed[rule.kind] = rule.expression
        if rule.seconds:
            unit = next((u for u in ("days", "hours", "minutes") if rule.seconds % UNITS[u] == 0), "minutes")
            typed |= {"every": f"{rule.seconds / UNITS[unit]:g}", "unit": unit}
        return cls(typed)

    def recurrence(self) -> dict[str, Any]:
        """The recurrence's fields as the domain takes them; what cannot be read is noted as an error."""
        kind = self.typed["kind"]
        rule: dict[str, Any] = {"kind": kind, "time_zone": self.typed["time_zone"].strip()}
        if kind == Kind.ONCE:
            rule["at"] = self._moment("at")
        elif kind == Kind.EVERY:
            rule["seconds"] = self._seconds("every", UNITS.get(self.typed["unit"], 3600))
        elif kind in (Kind.CRON, Kind.RRULE):
            rule["expression"] = self.typed[kind]
        rule |= {"starts_at": self._moment("starts_at"), "ends_at": self._moment("ends_at")}
        if self.typed["max_runs"].strip():
            rule["max_runs"] = self._whole("max_runs")
        return rule

    def draft(self) -> Draft:
        """The typed fields as a Draft, with those recipients that can be taken."""
        rule, grace = self.recurrence(), self._seconds("grace_minutes", 60)
        return Draft(
            name=self.typed["name"],
            sender=self.typed["from"],
            reply_to=self.typed["reply_to"],
            subject=self.typed["subject"],
            text=self.typed["text"],
            html=self.typed["html"],
            tags=[tag.strip() for tag in self.typed["tags"].split(",") if tag.strip()],
            recipients=self.given.recipients,
            audience=self.typed["audience"].strip(),
            recurrence=rule,
            misfire={"policy": self.typed["misfire"], "grace_s": grace if grace is not None else 0},
        )

    def refuse(self, error: InvalidInput) -> None:
        """Put each fault beside its field."""
        for fault in error.faults:
            name = self._beside(fault)
            if name == "recipients" and self.given.any and name in self.errors:
                continue  # the list's own faults are told already
            beside = self.errors.setdefault(name, [])
            if fault.message not in beside:
                beside.append(fault.message)

    def look_at_recipients(self) -> None:
        """Put the list's problems beside it. A table with ambiguous headings must be confirmed first."""
        problems = problems_of(self.given, asked=self.given.any)
        if self.given.table and not self.given.seen and not (self.given.look and self.given.look.certain):
            problems.insert(0, "Check how the columns below are read, then save.")
        if problems:
            self.errors["recipients"] = problems

    def changes(self, stored: StoredSchedule) -> dict[str, Any]:
        """What an edit changes; recipients or an audience only if one was given, the rule only if it is another one."""
        draft = self.draft()
        names = ("name", "sender", "reply_to", "subject", "text", "html", "tags", "misfire")
        found: dict[str, Any] = {name: getattr(draft, name) for name in names}
        for name in ("recipients", "audience"):
            if given := getattr(draft, name):
                found[name] = given
        if ScheduleForm.of(stored).recurrence() != draft.recurrence:
            found["recurrence"] = draft.recurrence
        return found

    def _beside(self, fault: Fault) -> str:
        if fault.path == "recurrence.expression":
            return "rrule" if self.typed["kind"] == Kind.RRULE else "cron"
        if fault.path.startswith(("recipients", "tags")):
            return fault.path.split("[")[0]
        return _BESIDE.get(fault.path, fault.path)

    def _moment(self, name: str) -> datetime | None:
        text = self.typed[name].strip()
        if not text:
            return None
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            self.errors.setdefault(name, []).append("write it as 2026-12-01T09:00")
            return None

    def _number(self, name: str) -> float | None:
        try:
            number = float(self.typed[name])
            if not abs(number) < 10**9:
                raise ValueError
        except ValueError:
            self.errors.setdefault(name, []).append("a number is needed")
            return None
        return number

    def _whole(self, name: str) -> int | None:
        if re.fullmatch("[0-9]{1,9}", self.typed[name].strip()):
            return int(self.typed[name])
        self.errors.setdefault(name, []).append("a whole number is needed")
        return None

    def _seconds(self, name: str, unit_s: int) -> int | None:
        number = self._number(name)
        return round(number * unit_s) if number is not None else None


def _local(moment: datetime | None, zone: Any) -> str:
    return moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="minutes") if moment else ""
