"""Build what speaks to the configured providers, and what they speak to."""

from typing import Any

from config.settings import Settings
from mailroom.assembly.links import build_return_paths
from mailroom.domain.sending_domains import SendingDomain
from mailroom.providers.base import Adapter
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.providers.mailgun.suppression_lists import MailgunLists
from mailroom.providers.mailgun.webhook_setup import MailgunTarget
from mailroom.providers.mailgun.webhooks import MailgunWebhooks
from mailroom.providers.postmark.sending import PostmarkAdapter
from mailroom.providers.postmark.webhook_setup import PostmarkTarget
from mailroom.providers.postmark.webhooks import PostmarkWebhooks
from mailroom.providers.resend.sending import ResendAdapter
from mailroom.providers.resend.webhook_setup import ResendTarget
from mailroom.providers.resend.webhooks import ResendWebhooks
from mailroom.providers.sendgrid.sending import SendGridAdapter
from mailroom.providers.sendgrid.webhook_setup import SendGridTarget
from mailroom.providers.sendgrid.webhooks import SendGridWebhooks
from mailroom.providers.ses.webhook_setup import SesTarget
from mailroom.providers.ses.webhooks import SesWebhooks
from mailroom.providers.smtp.sending import SmtpAdapter
from mailroom.providers.webhook_setup import Target
from mailroom.providers.webhooks import WebhookFace
from mailroom.services.operations.campaign_checks import Senders


def build_adapter(settings: Settings, name: str) -> Adapter:
    """Build the adapter of a configured provider. Raises LookupError for any other name."""
    mailgun, sendgrid, ses = settings.mailgun, settings.sendgrid, settings.ses
    bounds: Any = {
        "call_timeout_s": settings.sending.call_timeout_s,
        "idle_limit_s": settings.sending.idle_limit_s,
    }
    match name:
        case "mailgun":
            return MailgunAdapter(domain=mailgun.domain, base_url=mailgun.base_url, api_key=mailgun.api_key, **bounds)
        case "sendgrid":
            return SendGridAdapter(base_url=sendgrid.base_url, api_key=sendgrid.api_key, **bounds)
        case "ses":
            # boto3 takes half a second and 20 MB, which is wasted without SES.
            from mailroom.providers.ses.sending import SesAdapter
            from mailroom.providers.ses.signing import Signer

            signer = Signer(
                region=ses.region,
                access_key=ses.access_key,
                secret_key=ses.secret_key,
                session_token=ses.session_token,
            )
            return SesAdapter(base_url=ses.base_url, signer=signer, configuration_set=ses.configuration_set, **bounds)
        case "postmark":
            postmark = settings.postmark
            return PostmarkAdapter(
                base_url=postmark.base_url,
                server_token=postmark.server_token,
                transactional_stream=postmark.transactional_stream,
                broadcast_stream=postmark.broadcast_stream,
                **bounds,
            )
        case "resend":
            return ResendAdapter(base_url=settings.resend.base_url, api_key=settings.resend.api_key, **bounds)
        case "smtp":
            returned = settings.returned_mail
            paths = build_return_paths(settings) if returned.return_path else None
            bounces_read = bool(returned.mailboxes)
            return SmtpAdapter(url=settings.smtp.url, return_paths=paths, bounces_read=bounces_read, **bounds)
        case _:
            raise LookupError(f"there is no provider {name}")


def build_target(settings: Settings, name: str) -> Target:
    """Build the target of a configured provider's webhooks. Raises LookupError for any other provider, and for a
    provider without webhooks."""
    mailgun, sendgrid, ses = settings.mailgun, settings.sendgrid, settings.ses
    if name not in settings.sending.providers:
        raise LookupError(f"{name} is not among the providers")
    match name:
        case "mailgun":
            return MailgunTarget(base_url=mailgun.base_url, domain=mailgun.domain, api_key=mailgun.api_key)
        case "sendgrid":
            key = sendgrid.verification_keys[0]
            return SendGridTarget(base_url=sendgrid.base_url, api_key=sendgrid.api_key, verification_key=key)
        case "ses":
            return SesTarget(
                region=ses.region,
                topics=ses.topics,
                access_key=ses.access_key,
                secret_key=ses.secret_key,
                session_token=ses.session_token,
                endpoint=ses.sns_url or None,
            )
        case "postmark":
            postmark = settings.postmark
            return PostmarkTarget(
                base_url=postmark.base_url,
                server_token=postmark.server_token,
                secret=postmark.webhook_secrets[0],
                streams=(postmark.transactional_stream, postmark.broadcast_stream),
            )
        case "resend":
            resend = settings.resend
            return ResendTarget(base_url=resend.base_url, api_key=resend.api_key, secret=resend.webhook_secrets[0])
        case _:
            raise LookupError(f"{name} sends no webhooks")


def build_webhooks(settings: Settings) -> dict[str, WebhookFace]:
    """Build the webhooks of each provider with a key, a secret or topics in the settings, by name. Without these a
    forged webhook could not be detected, so a provider without them has no webhooks."""
    mailgun, sendgrid, ses = settings.mailgun, settings.sendgrid, settings.ses
    faces: list[WebhookFace] = []
    if mailgun.signing_keys:
        faces.append(MailgunWebhooks(domain=mailgun.domain, signing_keys=mailgun.signing_keys))
    if sendgrid.verification_keys:
        faces.append(SendGridWebhooks(verification_keys=sendgrid.verification_keys))
    if ses.topics:
        faces.append(SesWebhooks(topics=ses.topics))
    if settings.postmark.webhook_secrets:
        faces.append(PostmarkWebhooks(secrets=settings.postmark.webhook_secrets))
    if settings.resend.webhook_secrets:
        faces.append(ResendWebhooks(secrets=settings.resend.webhook_secrets))
    return {face.name: face for face in faces}


def build_mailgun_lists(settings: Settings) -> MailgunLists | None:
    """Build Mailgun's own lists of suppressions; None if Mailgun is not among the providers."""
    mailgun = settings.mailgun
    if "mailgun" not in settings.sending.providers:
        return None
    return MailgunLists(base_url=mailgun.base_url, domain=mailgun.domain, api_key=mailgun.api_key)


def build_sending_domains(settings: Settings) -> list[SendingDomain]:
    """Build the domains for which the configured providers may send. MAILGUN_DOMAIN is one of them."""
    named = [SendingDomain(*domain) for domain in settings.sending.domains]
    own = settings.mailgun.domain
    if "mailgun" in settings.sending.providers and own not in [known.domain for known in named]:
        named.append(SendingDomain("mailgun", own))
    return named


def build_senders(settings: Settings) -> Senders:
    """Build what a campaign's From domain is checked against."""
    return Senders(build_sending_domains(settings), settings.sending.providers)
