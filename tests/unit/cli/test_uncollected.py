"""Modules are imported without the collector, and it works afterwards."""

import gc

import pytest

from cli.uncollected import uncollected


def test_the_collector_rests_while_modules_are_imported_and_works_afterwards() -> None:
    with uncollected():
        inside = gc.isenabled()

    assert (inside, gc.isenabled()) == (False, True)


def test_the_collector_works_after_an_import_that_failed() -> None:
    with pytest.raises(ImportError), uncollected():
        raise ImportError

    assert gc.isenabled()


def test_what_was_made_meanwhile_is_looked_at_no_more() -> None:
    before = gc.get_freeze_count()

    with uncollected():
        made = [[number] for number in range(1_000)]

    assert gc.get_freeze_count() >= before + len(made)
    gc.unfreeze()
