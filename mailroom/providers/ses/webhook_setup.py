"""Subscriptions of our URL to the SNS topics that carry SES's events. SNS asks the URL to confirm a subscription; that
request is itself the test event: it is signed, comes the same way, and is answered automatically.

Source: docs.aws.amazon.com, "Subscribe" of the SNS API (read 2026-11).
"""

from collections.abc import Sequence
from typing import Any

from mailroom.domain.errors import Unavailable
from mailroom.providers.webhook_setup import same_but_mark


class SesTarget:
    def __init__(
        self,
        *,
        region: str,
        topics: Sequence[str],
        access_key: str,
        secret_key: str,
        session_token: str,
        endpoint: str | None = None,
    ) -> None:
        self._region, self._topics, self._endpoint = region, topics, endpoint
        self._key = (access_key, secret_key, session_token)

    def push(self, url: str, *, instead_of: str = "") -> None:
        import boto3  # costs half a second; nothing else here needs it
        from botocore.exceptions import BotoCoreError, ClientError

        access_key, secret_key, session_token = self._key
        client: Any = boto3.client(
            "sns",
            region_name=self._region,
            endpoint_url=self._endpoint,
            aws_access_key_id=access_key or None,
            aws_secret_access_key=secret_key or None,
            aws_session_token=session_token or None,
        )
        try:
            for topic in self._topics:
                client.subscribe(TopicArn=topic, Protocol=url.partition(":")[0], Endpoint=url)
                for page in client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
                    for one in page["Subscriptions"]:
                        of_ours = one["Endpoint"] == instead_of or same_but_mark(one["Endpoint"], url)
                        earlier = of_ours and one["Endpoint"] != url
                        if earlier and one["SubscriptionArn"].startswith("arn:"):  # a confirmed one
                            client.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"SNS did not take the subscription: {error}") from error

    def ask_for_event(self, url: str, name: str) -> bool:
        """Nothing to do: subscribing has asked for one already."""
        return False
