"""Forms and uploads of the pages: bounded, and answered with a page that can be read. Without a socket between."""

import io
import time
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from mailroom.assembly.api import build_api_services
from tests.support.system import System
from web.app import create_app

MB = 1_000_000
PART = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n'
KIND = "multipart/form-data; boundary=x"


@pytest.fixture
def pages(system: System) -> Iterator[FlaskClient]:
    """The pages, signed in; without marks against requests from other sites."""
    app = create_app(build_api_services(system.settings, app="tests"))
    app.config["WTF_CSRF_ENABLED"] = False
    with app.test_client() as client:
        client.post("/sign-in", data={"token": system.token})
        yield client


def test_what_no_browser_sends_is_refused_at_once(pages: FlaskClient) -> None:
    hostile = [
        b"--x\r\nContent-Disposition: form-data" + b"; a=b" * (3 * MB),
        b"--x\r\n" + b"a: b\r\n" * (3 * MB),
        b"\r\n-" * (5 * MB),
        PART * 100_000,
        b"",
        b"--y\r\n\r\n",
    ]

    for body in hostile:
        began = time.process_time()
        answer = pages.post("/audiences", data=body, content_type=KIND)
        assert answer.status_code in (400, 413, 422), body[:60]
        assert "<html" in answer.text
        assert time.process_time() - began < 2, body[:60]


def test_a_form_has_64_kb_and_an_upload_waits_for_the_sign_in(pages: FlaskClient) -> None:
    form = "name=" + "x" * 70_000
    plain = pages.post("/audiences", data=form, content_type="application/x-www-form-urlencoded")
    pages.delete_cookie("mailroom")
    upload = pages.post("/audiences", data=PART + b"x" * MB + b"\r\n--x--", content_type=KIND)

    assert (plain.status_code, upload.status_code) == (413, 413)
    assert "This is too large" in plain.text


def test_an_upload_is_read_once_somebody_is_signed_in(pages: FlaskClient, system: System) -> None:
    rows = "address,city\n" + "".join(f"p{n}@example.org,Rome\n" for n in range(5_000))
    form = {"name": "Readers", "nonce": "n", "recipients": "", "recipients_file": (io.BytesIO(rows.encode()), "a.csv")}

    answer = pages.post("/audiences", data=form)

    assert answer.status_code in (200, 303), answer.text
    assert answer.status_code == 200 or system.db.audiences.count_documents({}) == 1


def test_odd_bytes_in_a_form_are_no_error(pages: FlaskClient) -> None:
    for body in (
        b"name=\xff&recipients=%ff%00",
        b"name=a%00b",
        b"&".join(b"a" for _ in range(30_000)),
        b"\x00" * 1_000,
    ):
        answer = pages.post("/audiences", data=body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 422
