"""Bodies that are made, as they arrive: by Mailgun (the simulator's record) and by an SMTP server. The other
vendors are in test_vendors.py."""

from email import message_from_bytes, policy

from tests.support.campaigns import a_campaign, finished
from tests.support.letters import STYLED_LETTER, assert_made
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.system import System, wait_for

MADE = {"html": STYLED_LETTER, "text": None, "preheader": "For {{ name }}"}


def test_each_reader_gets_text_styles_and_preheader_of_their_own_by_mailgun(system: System) -> None:
    system.start_simulator()
    system.start_api()
    system.start_senders(1)

    schedule = a_campaign(system, 1_200, **MADE)

    wait_for(lambda: finished(system, schedule), within_s=60, what="the run is finished")
    copies = system.simulator.copies()
    assert len(system.simulator.calls()) == 2
    assert len({copy["recipient"] for copy in copies}) == 1_200
    for copy in copies:
        number = copy["recipient"].removeprefix("reader-").removesuffix("@example.org")
        assert_made(copy["text"], copy["html"], f"Reader {number}")


def test_each_reader_gets_text_styles_and_preheader_of_their_own_by_smtp(system: System) -> None:
    server = ScriptedSmtp()
    server.start()
    system.environment |= {"MAILROOM_PROVIDERS": "smtp", "SMTP_URL": server.url("")}
    system.start_api(webhooks=False)
    system.start_senders(1)

    schedule = a_campaign(system, 5, **MADE)

    wait_for(lambda: finished(system, schedule), within_s=60, what="the run is finished")
    assert len(server.taken) == 5
    for taken in server.taken:
        message = message_from_bytes(taken.raw, policy=policy.default)
        text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
        number = taken.recipients[0].removeprefix("reader-").removesuffix("@example.org")
        assert_made(text, html, f"Reader {number}")
    server.stop()
