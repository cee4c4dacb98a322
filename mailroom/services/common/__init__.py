"""Shared by several packages of services: the clock, idempotency, group commits, the sending switch."""
