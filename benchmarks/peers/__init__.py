"""What people would use: bare requests, Celery, dramatiq. One call a mail, 64 in flight, in one worker."""
