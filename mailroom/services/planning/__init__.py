"""Due instants become runs, and runs become messages and dispatches."""
