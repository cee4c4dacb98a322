"""The bucket of S3 for large bodies, if there is one."""

from dataclasses import dataclass, field

from config.reading import Reader, aws_region, matching


@dataclass(frozen=True, slots=True)
class BodiesS3:
    bucket: str
    region: str
    url: str  # '': AWS
    access_key: str  # '': boto3 looks for a key
    secret_key: str = field(repr=False)


def read_bodies_s3(read: Reader) -> BodiesS3 | None:
    """None where no bucket is set. A further setting without a bucket is a mistake, and named."""
    if not read.is_set("MAILROOM_BODIES_S3_BUCKET", ""):
        for name in ("URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            if read.is_set(f"MAILROOM_BODIES_S3_{name}", ""):
                read.faults.append(f"MAILROOM_BODIES_S3_BUCKET is missing: MAILROOM_BODIES_S3_{name} is for it")
        return None
    access_key = read.optional("MAILROOM_BODIES_S3_ACCESS_KEY_ID")
    return BodiesS3(
        bucket=read.checked("MAILROOM_BODIES_S3_BUCKET", _bucket, ""),
        region=read.checked("MAILROOM_BODIES_S3_REGION", aws_region, ""),
        url=read.url("MAILROOM_BODIES_S3_URL", "http", "https") if read.is_set("MAILROOM_BODIES_S3_URL", "") else "",
        access_key=access_key,
        secret_key=read.text("MAILROOM_BODIES_S3_SECRET_ACCESS_KEY") if access_key else "",
    )


def _bucket(raw: str) -> str:
    return matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", raw)
