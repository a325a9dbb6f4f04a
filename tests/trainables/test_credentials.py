"""Credentials in URIs: found in each form that people write them, masked in any text, taken out."""

import pytest

from trainables.credentials import holds_credentials, masked, without_credentials
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("uri", "shown", "kept"),
    [
        ("s3://KEY:SECRET@bucket/x", "s3://***@bucket/x", "s3://bucket/x"),
        ("S3://KEY:SECRET@bucket/x", "S3://***@bucket/x", "S3://bucket/x"),
        ("s3://KEY@bucket/x", "s3://***@bucket/x", "s3://bucket/x"),
        ("s3://KEY:SEC/RET+x=@bucket/x", "s3://***@bucket/x", "s3://bucket/x"),
        ("s3://KEY:SEC?RET@bucket/x", "s3://***@bucket/x", "s3://bucket/x"),
        ("s3://KEY:12345/RET@bucket/x", "s3://***@bucket/x", "s3://bucket/x"),
        ("s3://KEY:SEC@RET@bucket/x", "s3://***@bucket/x", "s3://bucket/x"),
        ("s3://KEY:SECRET", "s3://***", "s3://KEY"),
        ("s3://:SECRET@bucket", "s3://***@bucket", "s3://bucket"),
        ("s3://bucket/x?access_key=KEY&secret_key=SECRET", "s3://bucket/x?access_key=***&secret_key=***", "s3://bucket/x"),
        ("s3://bucket/x?region=eu&Secret%5FKey=SECRET", "s3://bucket/x?region=eu&Secret%5FKey=***", "s3://bucket/x?region=eu"),
        ("s3://bucket/x?token=SECRET&region=eu", "s3://bucket/x?token=***&region=eu", "s3://bucket/x?region=eu"),
        ("s3://b/x?X-Amz-Signature=SECRET", "s3://b/x?X-Amz-Signature=***", "s3://b/x"),
        ("abfss://box:SECRET@account.dfs.core.windows.net/x", "abfss://***@account.dfs.core.windows.net/x",
         "abfss://account.dfs.core.windows.net/x"),
        ("abfss://box@account.dfs.core.windows.net/x?sv=1&sig=SECRET",
         "abfss://box@account.dfs.core.windows.net/x?sv=1&sig=***", "abfss://box@account.dfs.core.windows.net/x?sv=1"),
        ("https://me:SECRET@host:8443/x#token=SECRET", "https://***@host:8443/x#token=***", "https://host:8443/x"),
        ("gs://b/x?client_secret=SECRET;a=1", "gs://b/x?client_secret=***;a=1", "gs://b/x?a=1"),
    ],
)  # fmt: skip
def test_credentials_are_masked_and_taken_out(uri: str, shown: str, kept: str) -> None:
    assert holds_credentials(uri)
    assert masked(uri) == shown
    assert masked(f"mirror: {uri!r} can't be used") == f"mirror: {shown!r} can't be used"
    assert masked(shown) == shown
    assert without_credentials(uri) == kept
    assert not holds_credentials(kept)
    assert "SECRET" not in str(InputError(f"what {uri} is"))


@pytest.mark.parametrize(
    "uri",
    [
        "file:///backup/me@home/x", "s3://bucket/a@b/x", "s3://bucket/x?region=eu&endpoint_override=localhost:9000",
        "hdfs://name:8020/user/me@corp/x", "hdfs://me@name:8020/x", "gs://anonymous@bucket/x", "s3://[::1]/x",
        "abfss://box@account.dfs.core.windows.net/x", "/backup/run", "C:/backup",
    ],
)  # fmt: skip
def test_what_holds_none_stays(uri: str) -> None:
    assert not holds_credentials(uri)
    assert masked(uri) == uri == without_credentials(uri)


def test_a_uri_without_its_scheme_is_seen() -> None:
    assert holds_credentials("KEY:SECRET@bucket/x")
