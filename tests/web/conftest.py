"""A real Chromium, and the pages of a running system; and clients of the pages without one."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, sync_playwright

from mailroom.assembly.api import build_api_services
from tests.support.pages import DESKTOP
from tests.support.system import System
from tests.support.tokens import a_token
from web.app import create_app

SignedIn = Callable[..., FlaskClient]

CHROMIUM = os.environ.get("CHROMIUM_BIN", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists() and not os.environ.get("CI"):
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--disable-component-update"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, system: System) -> Iterator[Page]:
    system.start_web()
    context = browser.new_context(java_script_enabled=False, viewport=DESKTOP)
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def signed_in(system: System) -> SignedIn:
    """Makes clients whose tokens carry these scopes."""
    app = create_app(build_api_services(system.settings, app="tests"))
    app.config["WTF_CSRF_ENABLED"] = False

    def client(*scopes: str) -> FlaskClient:
        made = app.test_client()
        made.post("/sign-in", data={"token": a_token(system.db, *scopes)})
        return made

    return client
