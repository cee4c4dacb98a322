"""Collection `dispatches`: the document's contract in document.py; what is written and read, a file a topic."""
