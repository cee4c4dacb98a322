"""Schedules, their contents, and their runs."""
