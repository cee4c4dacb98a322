"""Use cases of operators: tokens, providers, limits, restores, the ledger, maintenance, metrics."""
