"""Mail providers: a folder a vendor; `base` owns the sequence, `connection` the wire."""
