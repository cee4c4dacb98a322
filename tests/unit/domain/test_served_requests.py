"""A caller's own id of its request is kept if it can stand in a header, a line and a URL as it is."""

import pytest

from mailroom.domain.served_requests import sane_request_id


@pytest.mark.parametrize(
    "given",
    ["1", "5f0c1d9e-7c1d-4d0e-9b1a-0d5a2f1c3b4a", "Root=1-67891233-abcdef012345678912345678", "a/b+c==", "x" * 128],
)
def test_a_sane_id_is_kept(given: str) -> None:
    assert sane_request_id(given) == given


@pytest.mark.parametrize(
    "given", ["", " ", "x" * 129, "-begins", "a b", 'a"b', "a\nb", "a\x00b", "é", "<script>", "a,b"]
)
def test_any_other_is_not(given: str) -> None:
    assert sane_request_id(given) is None
