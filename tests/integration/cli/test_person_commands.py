"""A person's data at the terminal: all of it, and its erasure."""

import json

from mailroom.storage.database import Db
from tests.support.caller import Caller
from tests.support.erasing import ANN, handed_in, where, work
from tests.support.living import an_audience
from tests.support.terminal import Terminal


def test_everything_is_printed_as_json_and_erased_after_a_question(mailroom: Terminal, call: Caller, db: Db) -> None:
    an_audience(db, "ann", "bo")
    handed_in(db, ANN)

    printed = json.loads(mailroom("contacts", "export", ANN).out)
    unasked = mailroom("contacts", "erase", ANN)
    nothing = mailroom("contacts", "erasure", ANN)
    asked = mailroom("contacts", "erase", ANN, "--yes", "--json").json
    work(db)
    done = mailroom("contacts", "erasure", ANN, "--json").json

    answered = json.loads(call("GET", f"/v1/contacts/{ANN}/export").text)
    assert printed.keys() == answered.keys()
    assert [len(printed[name]) for name in ("audiences", "mails")] == [1, 1]
    assert (unasked.code, nothing.code != 0) == (2, True)
    assert "say --yes" in unasked.err
    assert (asked["state"], done["state"], asked["id"]) == ("running", "done", done["id"])
    assert done == call("GET", f"/v1/contacts/{ANN}/erasure").json
    assert where(db) == {"recipients"}
    assert mailroom("contacts", "erase", "ann", "--yes").code == 2
