"""Schedules: made, changed, paused, archived."""
