"""Why a webhook is refused, for all providers alike."""


class BadSignature(Exception):
    """The signature fits none of our keys, or it is not signed by the provider, or not for us."""


class Stale(Exception):
    """The signature fits, but it is older than any retry, or from the future."""


class Malformed(Exception):
    """This is no event of the provider's; sending it again would not help."""
