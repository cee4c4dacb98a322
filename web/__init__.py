"""The pages: server-rendered HTML that works without JavaScript, over the same services as the API."""
