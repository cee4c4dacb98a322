"""Schedules and their audiences: made, changed, paused, archived."""
