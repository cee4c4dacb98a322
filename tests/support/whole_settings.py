"""A whole environment of settings, as tests of settings change it."""

WHOLE = {
    "MAILROOM_MONGO_URL": "mongodb://u:secret-in-url@h1,h2/mailroom?replicaSet=x",
    "MAILROOM_ETCD_URL": "http://a:2379, http://b:2379",
    "MAILROOM_REDIS_URL": "redis://h/0",
    "MAILROOM_SECRET_KEY": "0123456789abcdef-secret",
    "MAILGUN_API_KEY": "api-secret",
    "MAILGUN_DOMAIN": "mg.example.com",
    "MAILGUN_SIGNING_KEY": "signing-secret",
}
