"""Whatever clients send, the labels of requests are words of closed lists."""

import pytest

from mailroom.watching import requests


@pytest.mark.parametrize(
    ("rule", "template"),
    [
        ("/v1/emails/<email_id>", "/v1/emails/{email_id}"),
        ("/webhooks/<any(mailgun, sendgrid, ses):provider>", "/webhooks/{provider}"),
        ("/v1/rate-limits/<any(provider, domain):kind>/<name>", "/v1/rate-limits/{kind}/{name}"),
        ("/health", "/health"),
    ],
)
def test_a_route_is_named_as_the_openapi_document_names_it(rule: str, template: str) -> None:
    assert requests.template_of(rule) == template


def test_methods_that_nobody_knows_share_one_label() -> None:
    labels = {"route": "/odd", "status": "405"}
    for number in range(3):
        requests.answered(f"ODD{number}", "/odd", 405, seconds=0.001, token="")

    count = requests.REGISTRY.get_sample_value
    assert count("mailroom_http_requests_total", {"method": "other", **labels}) == 3
    assert count("mailroom_http_requests_total", {"method": "ODD1", **labels}) is None
    assert count("mailroom_http_request_seconds_count", {"method": "other", "route": "/odd"}) == 3
