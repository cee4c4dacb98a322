"""What the promises cost, measured: each module is a command that prints what it saw and writes it as JSON."""
