"""Collection `dispatches`: document.py has the contract of the document; the other files have its writes and reads."""
