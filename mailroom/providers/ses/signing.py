"""A connection that signs each request as the request begins.

AWS takes a signature for five minutes only, so it surely refuses a request that was delayed for longer.
"""

import threading
import time
from typing import Final

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from msgspec.structs import replace

from mailroom.providers.connection import LiveConnection, NotWritten, Request

SERVICE: Final = "ses"
_FRESH_S: Final = 60.0


class Signer:
    """The account's key. Without a key in the settings boto3 finds one: a profile, the role of a machine. That may take
    seconds, so it happens when connections are opened; signing uses the key that was found. Thread-safe."""

    def __init__(self, *, region: str, access_key: str, secret_key: str, session_token: str) -> None:
        self._region, self._lock = region, threading.Lock()
        self._given = bool(access_key)
        self._source: Credentials | None = (
            Credentials(access_key, secret_key, session_token or None) if access_key else None
        )
        self._key: ReadOnlyCredentials | None = self._source.get_frozen_credentials() if self._source else None
        self._found_at = float("-inf")

    def find_key(self) -> None:
        """Look for the key again, unless that was done a moment ago. Raises NotWritten if there is none."""
        if self._given:
            return
        with self._lock:
            if time.monotonic() - self._found_at < _FRESH_S:
                return
            try:
                self._source = self._source or boto3.Session(region_name=self._region).get_credentials()
                self._key = self._source.get_frozen_credentials() if self._source else None
            except Exception as error:  # boto3 has many errors for a missing key
                raise NotWritten(f"boto3 found no AWS key: {error}") from error
            if self._key is None:
                raise NotWritten("there is no AWS key, and boto3 finds none")
            self._found_at = time.monotonic()

    def sign(self, url: str, request: Request) -> Request:
        """The request with its signature. Raises NotWritten if no key was found."""
        if self._key is None:
            raise NotWritten("no AWS key was found yet")
        signed = AWSRequest("POST", url, headers=dict(request.headers), data=request.body)
        SigV4Auth(self._key, SERVICE, self._region).add_auth(signed)
        return replace(request, headers=dict(signed.headers.items()))


class SigningConnection(LiveConnection):
    """LiveConnection for AWS."""

    def __init__(self, base_url: str, signer: Signer, *, call_timeout_s: float, idle_limit_s: float) -> None:
        super().__init__(base_url, call_timeout_s=call_timeout_s, idle_limit_s=idle_limit_s)
        self._base_url, self._signer = base_url, signer

    def open(self) -> None:
        self._signer.find_key()
        super().open()

    def begin(self, request: Request) -> None:
        super().begin(self._signer.sign(f"{self._base_url}{request.path}", request))
