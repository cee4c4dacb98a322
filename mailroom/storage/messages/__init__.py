"""Collection `messages`: the document's contract in document.py; marks, counts and who was not reached."""
