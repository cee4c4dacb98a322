"""Single mails: accept, store, view and cancel them; and their templates."""
