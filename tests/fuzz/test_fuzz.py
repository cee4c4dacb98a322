"""The short form of `make fuzz`."""

from pathlib import Path

from local.servers import Servers
from tests.fuzz.__main__ import fuzz


def test_no_request_that_schemathesis_thinks_of_is_a_fault_of_ours(tmp_path: Path, servers: Servers) -> None:
    tally = fuzz(tmp_path, servers, cases=300, seed=11)

    assert not tally.broken, "\n".join(requests[0][:2_000] for requests in tally.broken.values())
    assert tally.counted >= 300
    assert all(row.taken for row in tally.rows.values()), "\n".join(tally.table())
