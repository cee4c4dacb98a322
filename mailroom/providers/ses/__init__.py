"""Amazon SES's v2 API: sending, its codes, its notifications through SNS."""
