"""Schedules, their contents, their audiences, and their runs."""
