"""When all counts as whole again: from the first probe on since which every one is normal."""

import pytest

from tests.failovers.probes import ARRIVED_S, EVERY_S, PROMISED_S, ROW_S, Probe, first_of_row

FAULT = 100.0


def a_probe(at: float, *, requests: int = 1, promised_s: float = 0.1, arrived_s: float | None = 0.4) -> Probe:
    return Probe(at, requests, at + promised_s, None if arrived_s is None else at + arrived_s)


def a_row(start: float, **rest: object) -> list[Probe]:
    """Long enough."""
    return [a_probe(start + number * EVERY_S, **rest) for number in range(int(ROW_S / EVERY_S) + 2)]


def whole_at(probes: list[Probe]) -> float | None:
    now = max(probe.asked_at for probe in probes) + ARRIVED_S + 1
    first = first_of_row(probes, Probe.is_normal, since=FAULT, now=now)
    return first and first.asked_at


def test_it_is_whole_from_the_first_probe_after_the_fault_where_none_was_disturbed() -> None:
    assert whole_at([a_probe(FAULT - 0.1), *a_row(FAULT + 0.1)]) == FAULT + 0.1


@pytest.mark.parametrize(
    "disturbed",
    [
        {"arrived_s": ARRIVED_S + 0.1},
        {"arrived_s": None},
        {"promised_s": PROMISED_S + 0.1, "arrived_s": PROMISED_S + 0.2},
        {"requests": 2},
    ],
    ids=["late at the provider", "not at the provider", "promised late", "refused at first"],
)
def test_one_disturbed_probe_begins_the_row_anew(disturbed: dict[str, float]) -> None:
    disturbed_one = a_probe(FAULT + 3, **disturbed)

    assert whole_at([a_probe(FAULT + 1), disturbed_one, *a_row(FAULT + 4)]) == FAULT + 4


def test_a_short_row_is_not_believed_yet() -> None:
    probes = [a_probe(FAULT + 1), a_probe(FAULT + 2)]

    assert first_of_row(probes, Probe.is_normal, since=FAULT, now=FAULT + 1 + ROW_S - 0.1) is None
    assert first_of_row(probes, Probe.is_normal, since=FAULT, now=FAULT + 1 + ROW_S) is probes[0]


def test_a_probe_that_is_still_on_its_way_breaks_no_row() -> None:
    young = Probe(FAULT + 8)

    assert first_of_row([*a_row(FAULT + 1), young], Probe.is_normal, since=FAULT, now=FAULT + 8.5).asked_at == FAULT + 1
    assert first_of_row([*a_row(FAULT + 1), young], Probe.is_normal, since=FAULT, now=FAULT + 8.1 + ARRIVED_S) is None
