"""From a lane with work to a recorded outcome: the steps of docs/protocol.md, one file a step."""
