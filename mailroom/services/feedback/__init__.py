"""What providers report: events, suppressions, and where their webhooks go."""
