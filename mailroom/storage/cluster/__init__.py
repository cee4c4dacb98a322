"""Collection `cluster` and what restores need: one file a document or topic."""
