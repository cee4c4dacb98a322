"""Every adapter, with nobody at the other end, and batches for them."""

from datetime import UTC, datetime
from typing import Any

from mailroom.domain.ids import AudienceId, DispatchId, MessageId, RunId
from mailroom.domain.messages.model import Message
from mailroom.domain.schedules import Content
from mailroom.providers.base import Adapter, Batch
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.providers.postmark.sending import PostmarkAdapter
from mailroom.providers.resend.sending import ResendAdapter
from mailroom.providers.sendgrid.sending import SendGridAdapter
from mailroom.providers.ses.sending import SesAdapter
from mailroom.providers.ses.signing import Signer
from mailroom.providers.smtp.sending import SmtpAdapter

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TIMES: dict[str, Any] = {"call_timeout_s": 5, "idle_limit_s": 60}
NOBODY = "http://127.0.0.1:9"
ADAPTERS: dict[str, Adapter] = {
    "mailgun": MailgunAdapter(domain="mg.example.com", base_url=NOBODY, api_key="k", **TIMES),
    "sendgrid": SendGridAdapter(base_url=NOBODY, api_key="k", **TIMES),
    "ses": SesAdapter(
        base_url=NOBODY,
        signer=Signer(region="eu-central-1", access_key="k", secret_key="s", session_token=""),
        configuration_set="mailroom",
        **TIMES,
    ),
    "postmark": PostmarkAdapter(
        base_url=NOBODY, server_token="k", transactional_stream="outbound", broadcast_stream="broadcast", **TIMES
    ),
    "resend": ResendAdapter(base_url=NOBODY, api_key="k", **TIMES),
    "smtp": SmtpAdapter(url="smtp://localhost:25?tls=none", **TIMES),
}


def a_batch(count: int) -> Batch:
    content = Content("ann@mg.example.com", "Hi {{ name }}", "Hi {{ name }}", "", AudienceId("a"), count)
    messages = [
        Message(MessageId(f"m{n}"), RunId("r"), DispatchId("r-d0"), f"b{n}@example.org", "", {"s1": "Bo", "t1": "Bo"})
        for n in range(count)
    ]
    return Batch(DispatchId("r-d0"), 1, RunId("r"), content, messages, NOW)
