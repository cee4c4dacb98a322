"""The JSON API and the webhooks' intake: routes and schemas by noun, over the services."""
