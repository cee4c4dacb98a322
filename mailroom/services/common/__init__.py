"""What several rooms use: the clock, idempotency, group commits, the sending switch."""
