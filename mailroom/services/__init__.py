"""Use cases shared by the API, the pages and the senders: load, ask the rule, write conditionally."""
