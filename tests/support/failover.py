"""Settings with which a provider that is down is noticed within moments."""

QUICK = {
    "MAILROOM_PROVIDERS": "mailgun,smtp",
    "MAILROOM_CIRCUIT_FAILURES": "3",
    "MAILROOM_CIRCUIT_WINDOW": "10",
    "MAILROOM_CIRCUIT_COOLDOWN": "2",
    "MAILROOM_CALL_TIMEOUT": "2",
    "MAILROOM_IDLE_LIMIT": "1",
    "MAILROOM_SETTLE": "2",
}
