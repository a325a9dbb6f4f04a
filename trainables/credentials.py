"""Credentials inside URIs (`s3://KEY:SECRET@bucket`, `?secret_key=...`): found, masked where shown, taken out."""

import re

URI = re.compile(r"(?i)(?<![a-z0-9+.-])([a-z][a-z0-9+.-]*)://([^\s'\"<>]*)")
NAMED_USERS = ("abfs", "abfss", "hdfs", "viewfs")
"""Schemes whose URIs name a container or a user before the @, which is no secret as long as it stands alone."""
NO_PORTS = ("s3", "s3a", "s3n", "gs", "gcs")
"""Schemes whose buckets have no port: what follows a colon there is a secret."""
SECRET_KEY = re.compile(r"(?i)key|secret|token|passw|pwd|credential|signature|auth|^(sig|sas|pass)$")
MASK = "***"
HOLDS_CREDENTIALS = (
    "the URI holds a key, password or token, which would stand in the run's files for all to read; take it out and let "
    "the environment hold it (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, "
    "MLFLOW_TRACKING_TOKEN, …)"
)


def masked(text: str) -> str:
    """A text in which every URI's credentials are stars."""
    return URI.sub(lambda found: f"{found[1]}://{_rewritten(found[1].lower(), found[2], MASK)}", text)


def without_credentials(uri: str) -> str:
    """A URI whose credentials are taken out."""
    return URI.sub(lambda found: f"{found[1]}://{_rewritten(found[1].lower(), found[2], '')}", uri)


def holds_credentials(uri: str) -> bool:
    """Whether a URI, or what was meant as one, holds what must not be written down."""
    return masked(uri) != uri or ("://" not in uri and re.search(r":[^/]*@|@.*:", uri) is not None)


def _rewritten(scheme: str, rest: str, mark: str) -> str:
    """What follows `scheme://`, its credentials replaced by `mark`; without one, they and what joins them are gone."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, _ = authority.rpartition("@")
    if at and _is_secret_user(scheme, user):
        rest = (mark and f"{mark}@") + rest[len(user) + 1 :]
    elif not at and not authority.startswith("[") and ":" in authority:
        name, _, port = authority.partition(":")
        if scheme in NO_PORTS or (port and not port.isdecimal()):
            # A secret that has a / or ? in itself, as those of AWS do, or whose @bucket was forgotten.
            _, at, bucket = rest.rpartition("@")
            rest = (mark and f"{mark}@") + bucket if at else mark or name
    pieces = re.split(r"([?&;#])", rest)
    kept = pieces[:1]
    for joint, pair in zip(pieces[1::2], pieces[2::2], strict=True):
        key, equals, value = pair.partition("=")
        if not (equals and value and SECRET_KEY.search(_plain(key))):
            kept += [joint, pair]
        elif mark:
            kept += [joint, f"{key}={mark}"]
    written = "".join(kept)
    lost = not mark and "?" in rest and "?" not in written
    return re.sub("[&;]", "?", written, count=1) if lost else written


def _is_secret_user(scheme: str, user: str) -> bool:
    return user not in ("", MASK, "anonymous") and (":" in user or scheme not in NAMED_USERS)


def _plain(key: str) -> str:
    """A query's key with its %XX read."""
    return re.sub("%([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), key)
