"""Schedules, what they send, to whom, and their runs."""
