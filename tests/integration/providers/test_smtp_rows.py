"""Every step of the SMTP dialogue x every class of answer x 'and then the line drops': see smtp_rows.py."""

import ssl

import pytest

from mailroom.domain.dispatches.outcomes import InDoubt
from tests.integration.providers.smtp_rows import PEOPLE, UNREADABLE, rows, table
from tests.support.scripted_smtp import STEPS


@pytest.mark.parametrize("step", STEPS)
def test_the_outcome_of_each_recipient_is_the_one_in_the_servers_record(step: str, tls: ssl.SSLContext) -> None:
    judged = table(step, tls)

    assert not [str(row) for row, verdict in judged if verdict.doubled]
    assert not [str(row) for row, verdict in judged if verdict.lost]
    assert not [str(row) for row, verdict in judged if verdict.stranded]
    # Nobody is asked about what the server has said, nor about what was never handed over. After 354 and a dropped line
    # the message may have left whole.
    doubted = [row.said for row, verdict in judged if isinstance(verdict.first, InDoubt)]
    assert {said.step for said in doubted if not (said.step == "data" and said.answer[0] == "3")} <= {"dot"}
    assert {said.answer for said in doubted} <= UNREADABLE


def test_the_table_is_as_long_as_it_says() -> None:
    assert sum(len(list(rows(step))) for step in STEPS) >= 1_000
    assert {str(row) for row in rows("rcpt") if len(row.people) == len(PEOPLE)}
