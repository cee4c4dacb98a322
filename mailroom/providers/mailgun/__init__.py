"""Mailgun, both regions: `sending` builds and reads calls, `webhooks` verifies and parses what it tells later."""
