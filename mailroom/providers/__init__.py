"""Mail providers: one folder for each vendor; `base` owns the sequence of a call, `connection` the wire."""
