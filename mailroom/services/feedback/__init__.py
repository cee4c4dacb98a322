"""Feedback of the providers: events, suppressions, and the targets of their webhooks."""
