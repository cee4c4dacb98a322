"""A connection that signs each request as it begins: AWS takes a signature for five minutes only, and so a request that
was held back for longer is refused for sure."""

from dataclasses import replace

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from mailroom.providers.connection import LiveConnection, NotWritten, Request

SERVICE = "ses"


class Signer:
    """The account's key. Without one of its own, whatever boto3 finds: a profile, the role of a machine."""

    def __init__(self, *, region: str, access_key: str, secret_key: str, session_token: str) -> None:
        self._region = region
        self._given = Credentials(access_key, secret_key, session_token or None) if access_key else None

    def sign(self, url: str, request: Request) -> Request:
        """The request with its signature. Raises NotWritten where there is no key."""
        try:
            found = self._given or boto3.Session(region_name=self._region).get_credentials()
            if found is None:
                raise NotWritten("there is no AWS key, and boto3 finds none")
            signed = AWSRequest("POST", url, headers=dict(request.headers), data=request.body)
            SigV4Auth(found.get_frozen_credentials(), SERVICE, self._region).add_auth(signed)
        except NotWritten:
            raise
        except Exception as error:  # whatever boto3 says when it cannot get a key
            raise NotWritten(f"the request could not be signed: {error}") from error
        return replace(request, headers=dict(signed.headers.items()))


class SigningConnection(LiveConnection):
    """LiveConnection for AWS."""

    def __init__(self, base_url: str, signer: Signer, *, call_timeout_s: float, idle_limit_s: float) -> None:
        super().__init__(base_url, call_timeout_s=call_timeout_s, idle_limit_s=idle_limit_s)
        self._base_url, self._signer = base_url, signer

    def begin(self, request: Request) -> None:
        super().begin(self._signer.sign(f"{self._base_url}{request.path}", request))
