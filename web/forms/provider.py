"""The forms of the page of providers: a rate limit, and a webhook URL."""

from mailroom.domain.rates import LimitKind, Per
from mailroom.services.operations.rate_limits import read_warm_up
from web.forms.base import DomainForm
from web.forms.fields import ChoiceField, TextField


class RateLimitForm(DomainForm):
    """`of` is the domain of recipients, or `provider/NAME`."""

    beside = {"name": "of", "kind": "of"}  # noqa: RUF012

    of = TextField("Domain or provider", render_kw={"list": "targets", "placeholder": "example.org"})
    mails = TextField("Emails", render_kw={"inputmode": "numeric"})
    per = ChoiceField("Per", choices={per: per for per in Per})
    warm_up = TextField("Warm-up, day by day", render_kw={"placeholder": "50, 100, 400"})

    def target(self) -> tuple[str, str]:
        """The kind and the name of what is limited."""
        kind, _, name = self.of.data.strip().rpartition("/")
        return kind or LimitKind.DOMAIN, name

    def draft(self) -> dict[str, object]:
        """The limit as the API takes it. Raises InvalidInput."""
        mails = self.mails.data.strip()
        return {
            "mails": int(mails) if mails.isascii() and mails.isdigit() else None,
            "per": self.per.data,
            "warm_up": read_warm_up(self.warm_up.data),
        }


class WebhookForm(DomainForm):
    url = TextField("Webhook URL")
