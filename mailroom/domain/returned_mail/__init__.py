"""Mail that comes back: bounces, reports of delays and complaints, automatic replies."""
