"""What people would use: bare requests, BullMQ, Celery, dramatiq. One call a mail, 64 in flight, in one worker."""
