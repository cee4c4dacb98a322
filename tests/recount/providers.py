"""The providers at the wire. Each takes mail until it has its share, and refuses all from then on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.recount.copies import Copy
from tests.support.postmark import Postmark
from tests.support.resend import Resend
from tests.support.smtp import SmtpServer
from tests.support.system import System
from tests.support.vendor import Answer, Vendor, body_of
from tests.support.vendors import SendGrid, Ses

# What says for sure that nothing went out: the account was blocked. After an answer such as 503 nobody could know.
_BLOCKED: Final[dict[str, Answer]] = {
    "sendgrid": SendGrid.no(401, "authorization required"),
    "ses": Ses.no(403, "AccessDeniedException", "not authorized to perform ses:SendEmail"),
    "postmark": Postmark.no(401, 10, "The Server Token is not valid."),
    "resend": Resend.no(403, "invalid_api_key", "API key is invalid"),
}


@dataclass(slots=True)
class Providers:
    """As they carry, in turn: the simulator of Mailgun, four vendors, and a mail server, which is never down."""

    system: System
    vendors: dict[str, Vendor]
    smtp: SmtpServer

    def carried(self) -> dict[str, int]:
        """How many copies each has taken."""
        taken = {"mailgun": self.system.simulator.record()["mails"]}
        taken |= {name: len(vendor.kept) for name, vendor in self.vendors.items()}
        return taken | {"smtp": len(self.smtp.post.got)}

    def take_down(self, name: str) -> None:
        if name == "mailgun":
            self.system.simulator.fail_next("401", times=0)
        else:
            self.vendors[name].blocked = _BLOCKED[name]

    def copies(self) -> Iterator[Copy]:
        for copy in self.system.simulator.each_copy():
            yield Copy("mailgun", copy["recipient"], copy["subject"], copy["text"], copy["html"], copy["headers"])
        for name, vendor in self.vendors.items():
            for kept in vendor.kept:
                for address in kept.recipients:
                    yield Copy(name, address, kept.subject, kept.text, kept.html, kept.own_headers)
        for got in self.smtp.post.got:
            message = got.message
            for address in got.recipients:
                text, html = (body_of(message, kind) for kind in ("plain", "html"))
                headers = {name: str(value) for name, value in message.items()}
                yield Copy("smtp", address, headers["Subject"], text, html, headers)


@contextmanager
def the_vendors() -> Iterator[tuple[dict[str, Vendor], SmtpServer, dict[str, str]]]:
    """The vendors, the mail server, and the settings by which they are found."""
    vendors: dict[str, Vendor] = {"sendgrid": SendGrid(), "ses": Ses(), "postmark": Postmark(), "resend": Resend()}
    smtp = SmtpServer().start()
    settings = {name: value for vendor in vendors.values() for name, value in vendor.settings.items()}
    settings |= {"SMTP_URL": smtp.url(), "MAILROOM_PROVIDERS": ",".join(["mailgun", *vendors, "smtp"])}
    try:
        yield vendors, smtp, settings
    finally:
        smtp.stop()
        for vendor in vendors.values():
            vendor.stop()
