"""An S3 that answers slowly: mails with large bodies take their turn, and stop nobody else."""

import os
from pathlib import Path

from local.servers import Servers
from tests.support.databases import Databases
from tests.support.emails import base64_of, hand_in, status
from tests.support.slow_s3 import slow_s3
from tests.support.system import a_system, wait_for


def test_an_s3_that_is_slow_fails_no_mail_and_holds_up_no_small_one(
    servers: Servers, databases: Databases, tmp_path: Path
) -> None:
    files = [{"filename": f"{n}.bin", "content": base64_of(os.urandom(100_000))} for n in range(4)]
    with (
        slow_s3() as s3,
        a_system(tmp_path, servers, database=databases.take(), **s3.settings) as system,
    ):
        system.start_simulator()
        system.start_api()
        s3.get_s = 1.0
        large = [hand_in(system, attachments=files) for _ in range(8)]
        system.start_senders(2)
        wait_for(lambda: system.db.dispatches.find_one({"state": "sending"}), within_s=20, what="one is claimed")
        small = hand_in(system)

        wait_for(lambda: status(system, small) in ("sent", "delivered"), within_s=25, what="the small one is sent")
        wait_for(
            lambda: {status(system, id_) for id_ in large} == {"delivered"}, within_s=120, what="all are delivered"
        )
        assert len(system.simulator.calls()) == 9
        assert not any("lease_let_go" in child.tail(1_000) for child in system.children)
