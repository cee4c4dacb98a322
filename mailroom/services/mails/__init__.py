"""Single mails: accepted, stored, looked at, cancelled; and their templates."""
