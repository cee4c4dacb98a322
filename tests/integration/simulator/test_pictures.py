"""A mail's own pictures are seen in the inbox, whichever way Mailgun was given them."""

from collections.abc import Iterator
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from simulator.app import create_app

PICTURE = b"\x89PNG\r\n\x1a\n and more"
HTML = """<p>Hi</p><img src="cid:shop.png" alt="Shop"><p style="background: url(cid:none.png)">cid:shop.png</p>"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    hook = "http://127.0.0.1:9/hook"
    app = create_app(
        folder=tmp_path, domain="mg.example.com", api_key="k", signing_key="s", names=["dev.example.com"], webhooks=hook
    )
    with app.test_client() as made:
        yield made


def as_form(kind: str = "inline", media_type: str = "image/png") -> tuple[str, dict[str, Any]]:
    text = {"from": "ann@mg.example.com", "to": "bo@example.org", "subject": "Hi", "html": HTML}
    return "messages", text | {kind: (BytesIO(PICTURE), "shop.png", media_type)}


def as_mime() -> tuple[str, dict[str, Any]]:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "ann@mg.example.com", "Hi"
    mail.set_content(HTML, subtype="html")
    mail.add_related(PICTURE, "image", "png", cid="<shop.png>", filename="shop.png", disposition="inline")
    return "messages.mime", {"to": "bo@example.org", "message": (BytesIO(mail.as_bytes()), "message.mime")}


def given(client: FlaskClient, route: str, form: dict[str, Any]) -> None:
    answer = client.post(f"/v3/mg.example.com/{route}", data=form, auth=("api", "k"))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("way", [as_form, as_mime])
def test_a_picture_that_the_mail_carries_is_seen(client: FlaskClient, way: Any) -> None:
    given(client, *way())

    body, picture = client.get("/inbox/1/body").text, client.get("/inbox/1/pictures/shop.png")

    assert '<img src="/inbox/1/pictures/shop.png" alt="Shop">' in body
    assert ">cid:shop.png<" in body
    assert (picture.data, picture.mimetype) == (PICTURE, "image/png")
    assert client.get("/inbox/1/pictures/none.png").status_code == 404


@pytest.mark.parametrize("file", [("attachment", "image/png"), ("inline", "text/html")])
def test_only_pictures_that_the_mail_shows_are_served(client: FlaskClient, file: tuple[str, str]) -> None:
    given(client, *as_form(*file))

    assert client.get("/inbox/1/pictures/shop.png").status_code == 404
