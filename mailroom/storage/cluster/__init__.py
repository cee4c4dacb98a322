"""Collection `cluster`, and the collection `remembered` for restores: a file for each document or topic."""
