"""Consent of readers: topics, unsubscribing and subscribing again, and the journal of both."""
