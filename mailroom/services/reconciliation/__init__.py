"""Reconcile dispatches in doubt, by the provider's log or by a person's word."""
