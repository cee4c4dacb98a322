"""What a mail, a due instant, a page and a webhook cost against what is stored: see __main__.py."""
