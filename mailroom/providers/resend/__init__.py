"""Resend's API: sending, its codes, its signed webhooks."""
