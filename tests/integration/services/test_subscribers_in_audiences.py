"""Readers who join a topic by its form come into its audience: once they confirm, and whatever becomes of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mailroom.assembly.api import ApiServices, build_api_services
from mailroom.domain.confirm_links import OWNER
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.subscription_forms import FormInput
from mailroom.services.audiences import contacts
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.consent import topics
from mailroom.services.consent.joining import Confirmed, confirm
from mailroom.services.consent.subscribing import subscribe
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db, server_now
from tests.support.living import a_schedule_to, an_audience, people, plan_all, remove, run_now
from tests.support.subscribing import ADDRESS, a_confirmed_topic, journal, requests_stored
from tests.support.system import System
from tests.support.topics import a_topic


@pytest.fixture
def services(system: System) -> ApiServices:
    return build_api_services(system.settings, app="tests")


def post(services: ApiServices, *, name: str = "") -> None:
    def hand_in(draft: EmailDraft, key: str) -> object:
        return services.outbox.hand_in(draft, owner=OWNER, key=key)

    db = services.db
    asked, links = FormInput("newsletter", ADDRESS, name), services.confirm_links
    subscribe(db, topics.get(db, "newsletter"), asked, now=server_now(db), links=links, hand_in=hand_in)


def in_it(db: Db, audience: AudienceId) -> list[str]:
    return [contact.key for contact in contacts.page(db, audience, after="", limit=10)]


def test_who_confirms_is_in_the_audience_once_and_gets_the_next_run(services: ApiServices) -> None:
    db = services.db
    audience = an_audience(db, "ann")
    a_confirmed_topic(db, audience=audience)
    schedule = a_schedule_to(db, audience, text="Hello {{ name }}", subject="Hello", html="")
    before = run_now(db, schedule, "1")

    post(services, name="Bo")
    asked_only = in_it(db, audience)
    (asked,) = requests_stored(db)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: confirm(db, asked, now=server_now(db)), range(4)))
    after = run_now(db, schedule, "2")
    plan_all(db, schedule)

    assert asked_only == ["ann@example.org"]
    assert outcomes == [Confirmed.JOINED] * 4
    assert in_it(db, audience) == ["ann@example.org", ADDRESS]
    stored = contacts.get(db, audience, ADDRESS)
    assert (stored.recipient.name, stored.source) == ("Bo", "form")
    assert audiences.get(db, audience).count == 2
    assert (people(db, before), people(db, after)) == (["ann"], ["ann", "bo"])


def test_a_link_that_is_used_again_brings_nobody_back_into_the_audience(services: ApiServices) -> None:
    db = services.db
    audience = an_audience(db)
    a_confirmed_topic(db, audience=audience)
    post(services)
    (asked,) = requests_stored(db)
    confirm(db, asked, now=server_now(db))
    remove(db, audience, "bo")

    confirm(db, asked, now=server_now(db))

    assert in_it(db, audience) == []


def test_without_confirmation_the_form_is_enough(services: ApiServices) -> None:
    audience = an_audience(services.db)
    a_topic(services.db, "newsletter", audience=audience)

    for _ in range(2):
        post(services, name="Win at evil.example")

    assert in_it(services.db, audience) == [ADDRESS]
    assert contacts.get(services.db, audience, ADDRESS).recipient.name == ""


@pytest.mark.parametrize(("known", "kept"), [("Bo Smith", "Bo Smith"), ("", "Silly Cow")])
def test_a_stranger_who_types_an_address_renames_nobody(services: ApiServices, known: str, kept: str) -> None:
    audience = an_audience(services.db)
    contacts.put(services.db, audience, {"address": ADDRESS, "name": known, "variables": {}}, source="import")
    a_topic(services.db, "newsletter", audience=audience)
    asked = FormInput("newsletter", ADDRESS.upper(), "Silly Cow")

    subscribe(
        services.db,
        topics.get(services.db, "newsletter"),
        asked,
        now=server_now(services.db),
        links=services.confirm_links,
        hand_in=lambda *_: None,
    )

    stored = contacts.get(services.db, audience, ADDRESS).recipient
    assert (stored.address, stored.name) == (ADDRESS, kept)


def test_a_reader_joins_though_the_audience_is_gone(services: ApiServices) -> None:
    db = services.db
    audience = an_audience(db)
    a_confirmed_topic(db, audience=audience)
    post(services)
    (asked,) = requests_stored(db)
    audience_lists.drop(db, audience)

    assert confirm(db, asked, now=server_now(db)) is Confirmed.JOINED
    assert journal(db) == [("joined", "newsletter", "confirmation")]


def test_a_topic_names_an_audience_that_can_be_changed(db: Db) -> None:
    with pytest.raises(InvalidInput, match="audience: there is no audience aud_none"):
        a_topic(db, "newsletter", audience="aud_none")
