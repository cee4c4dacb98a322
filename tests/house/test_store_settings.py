"""Settings of the stores: URLs, TLS, and the bucket for large bodies."""

from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from config.settings import BadSettings, read_settings
from tests.support.tls import Papers
from tests.support.whole_settings import WHOLE

S3 = {
    "MAILROOM_BODIES_S3_BUCKET": "mails.of-shop",
    "MAILROOM_BODIES_S3_URL": "https://s3.example.com",
    "MAILROOM_BODIES_S3_ACCESS_KEY_ID": "id",
}
TLS = {"MAILROOM_ETCD_URL": "https://a:2379,https://b:2379", "MAILROOM_REDIS_URL": "rediss://h/0"}


def test_a_bucket_for_bodies_has_its_key_from_a_file_and_shows_it_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hidden-key\n")
    secret = {"MAILROOM_BODIES_S3_SECRET_ACCESS_KEY_FILE": str(tmp_path / "key")}

    found = read_settings(WHOLE | S3 | secret, dotenv=None).bodies_s3

    assert found
    assert (found.bucket, found.region, found.secret_key) == ("mails.of-shop", "us-east-1", "hidden-key")
    assert "hidden-key" not in repr(found)
    assert read_settings(WHOLE, dotenv=None).bodies_s3 is None


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({**S3}, "MAILROOM_BODIES_S3_SECRET_ACCESS_KEY is missing"),
        ({"MAILROOM_BODIES_S3_URL": "https://s3.example.com"}, "MAILROOM_BODIES_S3_BUCKET is missing"),
        ({"MAILROOM_BODIES_S3_BUCKET": "Not a bucket"}, "MAILROOM_BODIES_S3_BUCKET is wrong"),
        ({"MAILROOM_BODIES_S3_BUCKET": "b-b", "MAILROOM_BODIES_S3_URL": "s3.example.com"}, "_URL is wrong"),
        ({"MAILROOM_BODIES_S3_BUCKET": "b-b", "MAILROOM_BODIES_S3_REGION": "?"}, "_REGION is wrong"),
    ],
)
def test_settings_of_a_bucket_that_do_not_fit_are_named(given: dict[str, str], fault: str) -> None:
    with pytest.raises(BadSettings, match=fault):
        read_settings(WHOLE | given, dotenv=None)


@pytest.mark.parametrize(
    "url",
    [
        *("http://h", "redis://", "redis://h:99999/0", "redis+sentinel://h1:26379", "redis+sentinel:///mailroom"),
        *("redis+sentinel://h1:x/mailroom", "redis+sentinel://h1/mailroom/x", "redis+sentinel://h1,,h2/mailroom"),
        *("redis+sentinel://h1/mailroom?sentinel_pass=x", "redis+sentinel://h1/mailroom?sentinel_password=a&x"),
    ],
)
def test_a_wrong_url_of_redis_is_named(url: str) -> None:
    with pytest.raises(BadSettings, match="MAILROOM_REDIS_URL is wrong"):
        read_settings(WHOLE | {"MAILROOM_REDIS_URL": url}, dotenv=None)


def test_a_url_of_sentinels_is_read_from_a_file_too(tmp_path: Path) -> None:
    secret = tmp_path / "redis"
    secret.write_text("rediss+sentinel://:p@h1:26379,[::1],h3/mailroom/0?sentinel_password=q\n")
    environment = {name: value for name, value in WHOLE.items() if name != "MAILROOM_REDIS_URL"}

    found = read_settings(environment | {"MAILROOM_REDIS_URL_FILE": str(secret)}, dotenv=None)

    assert found.stores.redis_url.startswith("rediss+sentinel://:p@h1")


def test_files_for_tls_become_options_of_the_urls(tmp_path: Path) -> None:
    papers = Papers.issued(tmp_path)
    files = {
        f"MAILROOM_{store}_{what}": str(path)
        for store in ("MONGO", "ETCD", "REDIS")
        for what, path in (("CA", papers.authority), ("CERT", papers.client))
    }

    stores = read_settings(WHOLE | TLS | files, dotenv=None).stores

    asked = {name: value for name, (value,) in parse_qs(urlsplit(stores.mongo_url).query).items()}
    assert asked == {
        "replicaSet": "x",
        "tls": "true",
        "tlsCAFile": str(papers.authority),
        "tlsCertificateKeyFile": str(papers.client),
    }
    assert all(
        url.endswith(f"/?{urlencode({'ca': papers.authority, 'cert': papers.client})}") for url in stores.etcd_urls
    )
    assert parse_qs(urlsplit(stores.redis_url).query).keys() == {"ssl_ca_certs", "ssl_certfile"}


def test_every_wrong_file_for_tls_is_reported_at_once(tmp_path: Path) -> None:
    papers, empty = Papers.issued(tmp_path), tmp_path / "empty.pem"
    empty.touch()
    wrong = {
        "MAILROOM_MONGO_CA": str(tmp_path / "nothing.pem"),
        "MAILROOM_MONGO_CERT": str(papers.client_alone),  # no key in it
        "MAILROOM_ETCD_CA": str(empty),
        "MAILROOM_ETCD_KEY": str(papers.client_key),  # of no certificate
        "MAILROOM_REDIS_CERT": str(papers.client_alone),
        "MAILROOM_REDIS_KEY": str(papers.server_key),  # of another certificate
    }

    with pytest.raises(BadSettings) as refused:
        read_settings(WHOLE | TLS | wrong, dotenv=None)

    named = {fault.split()[0] for fault in refused.value.faults}
    assert named == {
        *("MAILROOM_MONGO_CA", "MAILROOM_MONGO_CERT", "MAILROOM_ETCD_CA", "MAILROOM_ETCD_CERT", "MAILROOM_REDIS_CERT")
    }


def test_files_for_tls_beside_a_url_in_plain_text_are_refused(tmp_path: Path) -> None:
    """Whoever gives them believes that nobody reads along."""
    papers = Papers.issued(tmp_path)
    files = {f"MAILROOM_{store}_CA": str(papers.authority) for store in ("MONGO", "ETCD", "REDIS")}
    urls = {
        "MAILROOM_MONGO_URL": "mongodb://h/mailroom?ssl=false",
        "MAILROOM_ETCD_URL": "https://a:2379,http://b:2379",
        "MAILROOM_REDIS_URL": "redis+sentinel://h/mailroom",
    }

    with pytest.raises(BadSettings) as refused:
        read_settings(WHOLE | files | urls, dotenv=None)

    assert {fault.split()[0] for fault in refused.value.faults} == urls.keys()


def test_a_url_of_mongodb_that_asks_for_tls_is_not_made_to_ask_twice(tmp_path: Path) -> None:
    papers = Papers.issued(tmp_path)
    settings = {"MAILROOM_MONGO_URL": "mongodb://h/m?tls=true", "MAILROOM_MONGO_CA": str(papers.authority)}

    found = read_settings(WHOLE | settings, dotenv=None)

    assert found.stores.mongo_url.count("tls=") == 1
