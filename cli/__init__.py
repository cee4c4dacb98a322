"""The `mailroom` command: the one place that may start every part."""
