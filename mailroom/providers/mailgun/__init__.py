"""Mailgun, both regions: `sending` builds and reads calls, `webhooks` verifies and parses its events."""
