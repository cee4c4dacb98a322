"""Single mails: their envelopes, their bodies, and templates."""
