"""Forms: fields with labels and hints. The domain holds the rules, and its faults land beside the fields."""
