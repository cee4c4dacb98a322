"""The part of a form that says when a schedule runs."""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final

from wtforms.widgets import DateTimeLocalInput, NumberInput, TimeInput

from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Kind, Recurrence, RecurrenceFields
from web.forms import everyday
from web.forms.base import DomainForm
from web.forms.everyday import Everyday
from web.forms.fields import ChoiceField, ChoicesField, RadioChoiceField, TextField

UNITS: Final = {"minutes": 60, "hours": 3600, "days": 86_400}
DEFAULTS: Final = {
    "kind": Kind.ONCE, "clock": "09:00", "weekdays": ["1"], "day": "1", "unit": "hours", "time_zone": "UTC",
    "delivery": DeliveryTime.SCHEDULE_TIME,
    "every": "24", "cron": "0 9 * * 1-5", "rrule": "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0",
}  # fmt: skip
_KINDS: Final = {
    Kind.ONCE: "Once", everyday.DAILY: "Daily", everyday.WEEKDAYS: "Weekdays", everyday.WEEKLY: "Weekly",
    everyday.MONTHLY: "Monthly", Kind.EVERY: "Interval", Kind.CRON: "Cron", Kind.RRULE: "Recurrence rule (RRULE)",
}  # fmt: skip
_DELIVERIES: Final[Mapping[str, str]] = {
    DeliveryTime.SCHEDULE_TIME: "To everybody at the same moment",
    DeliveryTime.RECIPIENT_TIME: "In each recipient's own time zone",
}
_PATHS: Final = ("at", "time_zone", "starts_at", "ends_at", "max_runs", "kind")
_CODE: Final = {"class": "code", "spellcheck": "false"}


class RecurrenceForm(DomainForm):
    """The recurrence as a person chooses it; an everyday one is a cron expression to the domain."""

    beside = {"recurrence.seconds": "every"} | {f"recurrence.{name}": name for name in _PATHS}

    kind = RadioChoiceField("Repeat", choices=_KINDS)
    at = TextField("Date and time", widget=DateTimeLocalInput(), render_kw={"step": "1"})
    clock = TextField("Time", widget=TimeInput())
    weekdays = ChoicesField("On", choices=everyday.DAYS_OF_WEEK)
    day = TextField(
        "Day of the month",
        widget=NumberInput(min=1, max=31),
        description="A month without this day is skipped.",
    )
    every = TextField("Every", widget=NumberInput(min=0, step="any"))
    unit = ChoiceField("Unit", choices={unit: unit for unit in UNITS})
    cron = TextField(
        "Cron expression",
        render_kw=_CODE,
        description="Minute, hour, day of month, month, day of week. 0 9 * * 1-5: 09:00 from Monday to Friday.",
    )
    rrule = TextField(
        "Recurrence rule (RFC 5545)",
        render_kw=_CODE,
        description="FREQ=MONTHLY;BYDAY=1MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0: 09:00 on the first Monday of each month.",
    )
    time_zone = TextField("Time zone", render_kw={"list": "zones", "autocomplete": "off"})
    starts_at = TextField("Start date", widget=DateTimeLocalInput(), description="Optional")
    delivery = ChoiceField("Deliver", choices=_DELIVERIES)
    default_time_zone = TextField(
        "Time zone of contacts without one",
        render_kw={"list": "zones", "autocomplete": "off"},
        description="Optional. Otherwise the time zone above.",
    )
    ends_at = TextField("End date", widget=DateTimeLocalInput(), description="Optional")
    max_runs = TextField("Maximum number of runs", widget=NumberInput(min=1), description="Optional")

    def recurrence(self) -> RecurrenceFields:
        """The recurrence's fields as the domain takes them; a field that cannot be read has a message."""
        kind = self.kind.data
        rule: RecurrenceFields = {"kind": kind, "time_zone": self.time_zone.data.strip()}
        if kind in everyday.KINDS:
            rule["kind"], rule["expression"] = Kind.CRON, self._everyday()
        elif kind == Kind.ONCE:
            rule["at"] = self._moment("at")
        elif kind == Kind.EVERY:
            rule["seconds"] = self.seconds("every", UNITS.get(self.unit.data, 3600))
        elif kind in (Kind.CRON, Kind.RRULE):
            rule["expression"] = self[kind].data
        rule["starts_at"], rule["ends_at"] = self._moment("starts_at"), self._moment("ends_at")
        if self.max_runs.data.strip():
            rule["max_runs"] = self._whole("max_runs")
        return rule

    def field_of(self, path: str) -> str:
        if path != "recurrence.expression":
            return super().field_of(path)
        if self.kind.data in everyday.KINDS:
            return "clock"
        return "rrule" if self.kind.data == Kind.RRULE else "cron"

    def seconds(self, name: str, unit_s: int) -> int | None:
        """The field's number of units in seconds; None with a message beside it if it is no number."""
        try:
            number = float(self[name].data)
        except ValueError:
            number = float("inf")
        if abs(number) < 10**9:
            return round(number * unit_s)
        self.complain(name, "Enter a number")
        return None

    def _everyday(self) -> str:
        chosen = Everyday(self.kind.data, self.clock.data, self.weekdays.data or (), self.day.data)
        problems = everyday.problems_of(chosen)
        for name, problem in problems.items():
            self.complain(name, problem)
        return "" if problems else everyday.expression_of(chosen)

    def _moment(self, name: str) -> datetime | None:
        text = self[name].data.strip()
        if not text:
            return None
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            self.complain(name, "Enter a date and time, such as 2026-12-01T09:00")
            return None

    def _whole(self, name: str) -> int | None:
        text = self[name].data.strip()
        if re.fullmatch("[0-9]{1,9}", text):
            return int(text)
        self.complain(name, "Enter a whole number")
        return None


def values_of(rule: Recurrence) -> dict[str, object]:
    """The fields that give this recurrence."""
    values: dict[str, object] = {
        "kind": rule.kind,
        "time_zone": rule.time_zone,
        "at": rule.at.isoformat() if rule.at else "",
        "starts_at": _local(rule.starts_at, rule.zone),
        "ends_at": _local(rule.ends_at, rule.zone),
        "max_runs": str(rule.max_runs or ""),
    }
    if rule.kind in (Kind.CRON, Kind.RRULE):
        values[rule.kind] = rule.expression
    if rule.kind == Kind.CRON and (simple := everyday.everyday_of(rule.expression)):
        values |= {"kind": simple.kind, "clock": simple.clock}
        values |= {"weekdays": list(simple.weekdays)} if simple.weekdays else {}
        values |= {"day": simple.day} if simple.day else {}
    if rule.seconds:
        unit = next((u for u in ("days", "hours", "minutes") if rule.seconds % UNITS[u] == 0), "minutes")
        values |= {"every": f"{rule.seconds / UNITS[unit]:g}", "unit": unit}
    return values


def _local(moment: datetime | None, zone: tzinfo) -> str:
    return moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="minutes") if moment else ""
