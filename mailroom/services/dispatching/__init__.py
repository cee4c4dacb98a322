"""From a lane with work to a recorded outcome: the steps of docs/protocol.md, a file for each step."""
