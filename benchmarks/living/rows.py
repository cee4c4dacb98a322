"""The rows of the file, the campaign's content, and what each row must get of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CITIES: Final = ("Rome", "Oslo", "São Paulo", "Kraków")
_LEFT_OUT: Final = 10  # one row in so many is not of the segment
ITEMS: Final = [{"title": f"Coat {number}", "city": _CITIES[number % 4]} for number in range(8)]
SEGMENT: Final = "plan = 'pro' and city is set"
SUBJECT: Final = "{{ feed.items|length }} new coats for {{ name }}"
_LOOP: Final = (
    "{% for item in feed.items %}{{ item.title }}{% if item.city == city %} in {{ city }}{% endif %}; {% endfor %}"
)
TEXT: Final = f"Hello {{{{ name }}}}: {_LOOP}Leave: {{{{ unsubscribe_url }}}}"
HTML: Final = f'<p>Hello {{{{ name }}}}: {_LOOP}<a href="{{{{ unsubscribe_url }}}}">Leave</a></p>'


@dataclass(frozen=True, slots=True)
class Row:
    """A row, by its number from 0 on."""

    number: int

    @property
    def address(self) -> str:
        return f"contact-{self.number}@example.org"

    @property
    def name(self) -> str:
        return f"Contact Nº {self.number}"

    @property
    def city(self) -> str:
        return _CITIES[self.number % len(_CITIES)]

    @property
    def in_segment(self) -> bool:
        return self.number % _LEFT_OUT != 0

    def line(self) -> str:
        return f"{self.address},{self.name},{self.city},{'pro' if self.in_segment else 'free'}\n"

    def subject(self) -> str:
        return f"{len(ITEMS)} new coats for {self.name}"

    def text(self, link: str) -> str:
        return f"Hello {self.name}: {self._coats()}Leave: {link}"

    def html(self, link: str) -> str:
        return f'<p>Hello {self.name}: {self._coats()}<a href="{link}">Leave</a></p>'

    def _coats(self) -> str:
        return "".join(f"{item['title']}{f' in {self.city}' * (item['city'] == self.city)}; " for item in ITEMS)


def row_of(address: str) -> Row:
    return Row(int(address.removeprefix("contact-").partition("@")[0]))


def write(file: Path, count: int) -> None:
    def lines() -> Iterator[str]:
        yield "address,name,city,plan\n"
        for number in range(count):
            yield Row(number).line()

    with file.open("w") as written:
        written.writelines(lines())
