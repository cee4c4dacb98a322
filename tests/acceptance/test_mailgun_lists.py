"""Suppressions pushed to Mailgun's own lists by running senders."""

import requests

from mailroom.storage import suppressions
from mailroom.storage.database import server_now
from tests.support.emails import hand_in, status
from tests.support.system import DOMAIN, System, wait_for


def test_senders_push_to_mailguns_lists_and_send_meanwhile_though_the_lists_are_away(system: System) -> None:
    system.environment["MAILGUN_PUSH_SUPPRESSIONS"] = "all"
    system.start_simulator()
    system.start_api()
    system.simulator.turn(suppressions_status=503)
    suppressions.add_bounced(system.db, ["gone@example.org"], at=server_now(system.db))
    senders = system.start_senders(2)

    def listed() -> bool:
        url = f"{system.simulator.url}/v3/{DOMAIN}/bounces/gone@example.org"
        return requests.get(url, auth=("api", "key-for-tests"), timeout=10).status_code == 200

    wait_for(lambda: any("suppressions_not_pushed" in one.tail(500) for one in senders), within_s=60, what="it is told")
    mail = hand_in(system)
    wait_for(lambda: status(system, mail) in ("sent", "delivered"), within_s=30, what="mail goes on")
    assert not listed()
    system.simulator.turn(suppressions_status=200)
    system.db.cluster.update_many({"_id": {"$regex": "^mailgun_push/"}}, [{"$set": {"next_at": "$$NOW"}}])

    wait_for(listed, within_s=60, what="it is pushed")
