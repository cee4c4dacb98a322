"""What tests and benchmarks share: a whole system of real processes, and builders."""
