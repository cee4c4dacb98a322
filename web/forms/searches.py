"""The forms that search lists."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar

from wtforms.widgets import DateInput, SearchInput

from mailroom.domain.runs import RunState
from mailroom.domain.searches import RunSearch
from web.forms.base import DomainForm
from web.forms.fields import TextField


def _term(label: str, placeholder: str = "") -> TextField:
    return TextField(label, widget=SearchInput(), render_kw={"placeholder": placeholder} if placeholder else {})


class SearchForm(DomainForm):
    def filters(self) -> dict[str, str]:
        """What was typed, by the names of the parameters."""
        return {field.name: field.data.strip() for field in self}


class ScheduleSearchForm(SearchForm):
    name = _term("Name", "A word of the name")


class TemplateSearchForm(SearchForm):
    name = _term("Name", "A word of the name")


class RunSearchForm(SearchForm):
    schedule = _term("Schedule", "A word of its name")
    since = TextField("Due from", widget=DateInput())
    until = TextField("Due to", widget=DateInput())

    def search(self, state: RunState | None) -> RunSearch:
        """Days are days in UTC, as the times of the page; the last one is included. A date that cannot be read gets a
        message."""
        since, until = self._day("since"), self._day("until", later=1)
        return RunSearch(self.schedule.data.strip() or None, None, state, since, until)

    def _day(self, name: str, *, later: int = 0) -> datetime | None:
        """The beginning of the day that was typed, or of one some days later."""
        typed = self[name].data.strip()
        if not typed:
            return None
        try:
            return datetime.combine(date.fromisoformat(typed) + timedelta(days=later), time(), UTC)
        except (ValueError, OverflowError):
            self.complain(name, "Enter a date, such as 2026-11-30")
            return None


class EmailSearchForm(SearchForm):
    recipient = _term("Recipient", "bo@example.org")
    tag = _term("Tag")


class PersonSearchForm(SearchForm):
    beside: ClassVar[Mapping[str, str]] = {"recipient": "q"}
    q = _term("Email address", "ann@example.org, or its start")
