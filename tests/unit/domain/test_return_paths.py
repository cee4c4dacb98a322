"""Return paths: signed, short enough, in one case, and each of one message."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.domain.ids import (
    RunId,
    address_digest_of,
    again_email_id,
    again_run_id,
    asked_run_id,
    due_run_id,
    keyed_email_id,
    keyed_schedule_id,
    message_id,
    new_email_id,
)
from mailroom.domain.packed_ids import pack, unpack
from mailroom.domain.return_paths import MOST_OWN, ReturnPaths, check_return_path

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
SCHEDULE = keyed_schedule_id("owner", "key")
DUE = due_run_id(SCHEDULE, NOW)
RUNS = {
    "due": DUE,
    "due between seconds": due_run_id(SCHEDULE, NOW.replace(microsecond=7_000)),
    "send now": asked_run_id(SCHEDULE, "owner", "key"),
    "resend": again_run_id(DUE, "owner", "key"),
    "single mail": RunId(new_email_id(NOW)),
    "single mail with a key": RunId(keyed_email_id("owner", "key")),
    "resent single mail": RunId(again_email_id(new_email_id(NOW), "owner", "key")),
}
PATHS = ReturnPaths("bounces@example.org", ["a-key-of-16-chars"])


@pytest.mark.parametrize("kind", RUNS)
def test_a_return_path_names_its_message_whatever_the_case(kind: str) -> None:
    path = PATHS.of(RUNS[kind], "Bo@Example.org")

    for text in (path, path.upper(), path.title()):
        name = PATHS.find(f"To: <{text}>".encode())
        assert name
        assert name.run == RUNS[kind]
        assert address_digest_of(message_id(RUNS[kind], "bo@example.org")).startswith(name.digest)


@pytest.mark.parametrize("kind", RUNS)
def test_a_return_path_fits_into_64_octets_with_the_longest_own_part(kind: str) -> None:
    paths = ReturnPaths(f"{'b' * MOST_OWN}@example.org", ["a-key-of-16-chars"])

    local = paths.of(RUNS[kind], "bo@example.org").rpartition("@")[0]

    assert len(local) <= 64
    assert local == local.lower()


def test_a_run_of_another_form_gets_the_address_without_a_token() -> None:
    assert PATHS.of(RunId("em_1"), "bo@example.org") == "bounces@example.org"


@given(at=st.integers(0, 400), to=st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_changed_token_is_none_of_ours(at: int, to: str) -> None:
    path = PATHS.of(DUE, "bo@example.org")
    local, _, domain = path.partition("@")
    own, _, token = local.partition("+")
    at %= len(token) - 1  # the last character holds bits that are not looked at
    changed = f"{own}+{token[:at]}{to}{token[at + 1 :]}@{domain}"

    assert (PATHS.find(changed.encode()) is None) == (changed != path)


@given(st.binary(max_size=400))
def test_any_bytes_are_searched_and_give_no_message(text: bytes) -> None:
    assert PATHS.find(b"+" + text + b"@") is None


def test_a_foreign_key_signs_nothing_of_ours_and_a_retired_key_is_known() -> None:
    other = ReturnPaths("bounces@example.org", ["another-key-of-ours"])
    path = PATHS.of(DUE, "bo@example.org").encode()

    assert other.find(path) is None
    assert ReturnPaths("", ["another-key-of-ours"], retired=["a-key-of-16-chars"]).find(path)


def test_the_first_of_our_return_paths_counts_and_foreign_ones_are_passed_over() -> None:
    foreign = ReturnPaths("bounces@example.org", ["another-key-of-ours"])
    text = "\n".join(path.of(DUE, f"{name}@example.org") for path, name in ((foreign, "x"), (PATHS, "a"), (PATHS, "b")))

    name = PATHS.find(text.encode())

    assert name
    assert address_digest_of(message_id(DUE, "a@example.org")).startswith(name.digest)


@given(st.binary(max_size=60))
def test_bytes_that_were_not_packed_are_no_name_or_the_name_of_just_these(packed: bytes) -> None:
    name = unpack(packed)

    if name is not None:
        again = pack(name.run, "bo@example.org")
        assert again is None or again[:-5] == packed[:-5]


@pytest.mark.parametrize("address", ["bounces@example.org", "b.1_-@Example.ORG", "b@x"])
def test_an_address_for_return_paths_is_taken(address: str) -> None:
    assert check_return_path(address).endswith(address.rpartition("@")[2].lower())


@pytest.mark.parametrize(
    "address", ["", "bounces", "bounces+x@example.org", f"{'b' * 9}@x.org", "ä@x.org", "b@", "b@x y"]
)
def test_an_address_with_no_room_for_a_token_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"^.*$"):
        check_return_path(address)
