"""What stands for an erased address, and how an address is found in texts of others."""

import pytest

from mailroom.domain.erasures import PHASES, ErasurePhase, erased_name, following, holds, without

ANN = "ann@example.org"


def test_a_name_is_the_same_for_the_same_address_and_key_and_tells_nothing_of_it() -> None:
    name = erased_name(b"a" * 32, ANN)

    assert name == erased_name(b"a" * 32, ANN)
    assert name not in (erased_name(b"b" * 32, ANN), erased_name(b"a" * 32, "bo@example.org"))
    assert name.startswith("erased:")
    assert "ann" not in name
    assert "@" not in name


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("550 <Ann@Example.org> is unknown", "550 <(erased)> is unknown"),
        ("/v1/contacts/ann%40example.org/erase", "/v1/contacts/(erased)/erase"),
        ("to ann@example.org, bo@example.org.", "to (erased), bo@example.org."),
        ("ann@example.org.", "(erased)."),
        ('{"address": "ann@example.org"}', '{"address": "(erased)"}'),
    ],
)
def test_an_address_is_taken_out_of_a_text_however_it_is_written(text: str, left: str) -> None:
    assert holds(text, ANN)
    assert without(text, ANN) == left


@pytest.mark.parametrize(
    "text",
    ["joann@example.org", "x.ann@example.org", "ann@example.org.uk", "ann@example.organic", "ann@example-org", ""],
)
def test_longer_addresses_and_others_stay(text: str) -> None:
    assert not holds(text, ANN)
    assert without(text, ANN) == text


def test_signs_in_an_address_mean_themselves() -> None:
    assert without("a.b+c@example.org axb+c@example.org", "a.b+c@example.org") == "(erased) axb+c@example.org"


def test_each_phase_is_followed_by_the_next_and_lists_come_first() -> None:
    assert PHASES[0] is ErasurePhase.LISTS
    assert [following(phase) for phase in PHASES] == [*PHASES[1:], None]
