"""Where mails come to that are read by IMAP."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ImapPlace:
    """A folder of an account. `tls`: implicit, starttls, or none, which only this host may have. `ca`: a PEM file; ''
    for the system's authorities."""

    host: str
    port: int
    tls: str
    user: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    ca: str = ""
