"""SendGrid's v3 API: sending, its codes, its event webhook."""
