"""Resend a run or a single mail to exactly the recipients that it did not reach."""
