"""What a browser does with the forms of the pages, without a browser."""

import re
from html.parser import HTMLParser
from typing import Any

import requests
from flask.testing import FlaskClient


def csrf_of(text: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', text)
    assert found, text
    return found[1]


def signed_in(web_url: str, token: str) -> requests.Session:
    """A visitor of real pages, signed in."""
    visitor = requests.Session()
    form = {"token": token, "next": "/"}
    form["csrf_token"] = csrf_of(visitor.get(f"{web_url}/sign-in", timeout=60).text)
    visitor.post(f"{web_url}/sign-in", data=form, timeout=60).raise_for_status()
    return visitor


def sign_in(client: FlaskClient, token: str, **more: str) -> Any:
    form = {"token": token, "next": "/", "csrf_token": csrf_of(client.get("/sign-in").text)}
    return client.post("/sign-in", data=form | more)


class _Fields(HTMLParser):
    """The values of all fields of a page, as a browser would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        chosen = given.get("type") not in ("radio", "checkbox", "submit", "file") or "checked" in given
        if tag == "input" and name and chosen:
            self.values[name] = given.get("value") or ""
        elif tag in ("select", "textarea"):
            self._inside, self.values[name] = name, ""
        elif tag == "option" and "selected" in given and self._inside:
            self.values[self._inside] = given.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._inside and self.lasttag == "textarea":
            self.values[self._inside] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("select", "textarea"):
            self._inside = None


def fields_of(text: str) -> dict[str, str]:
    read = _Fields()
    read.feed(text)
    return read.values
