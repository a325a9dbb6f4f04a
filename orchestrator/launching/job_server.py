"""The job server of a cluster's head, asked with an end to every wait: what it runs, submitted jobs, their logs."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from orchestrator.machine.cluster import TOKEN, must_be_closed, open_cluster_error
from trainables.errors import InputError

EXTRA = "pip install 'anomaly-orchestrator[cluster]'"
CONNECTING = 6.0
"""Seconds for the server to take a connection."""
ANSWERING = 10.0
"""Seconds for it to answer; a check asks twice."""
UPLOADING = 120.0
"""Seconds for it to take what is shipped, and to begin with a job."""
SILENT = 20.0
"""Seconds without a line of log, after which the job's state is asked for: a connection may be gone without a word."""
AWAY = 300.0
"""Seconds for a head that was reached once to come back, before a follower gives up. The run itself does not."""
ADDRESSES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Variables by which Ray's client would take another address than it is given."""
NOT_READY = "No available agent"
"""What a server says whose head has not started all of its processes."""
ENDED = {"SUCCEEDED", "FAILED", "STOPPED"}


def http_address(address: str) -> str:
    """The address of a job server as it is kept; InputError for what is none."""
    parts = urlsplit(address)
    try:
        plain = parts.scheme in ("http", "https") and parts.hostname and parts.port is not None
    except ValueError:
        plain = False
    if not plain or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise InputError(
            f"--address is {address!r}; it must be that of the head's job server, such as http://head:8265 (the port "
            "of its dashboard; not 6379, which is the cluster's own)."
        )
    return f"{parts.scheme}://{parts.netloc}"


def need_packages() -> None:
    """InputError where what Ray's client of job servers is made of is not installed."""
    if find_spec("aiohttp") is None:
        raise InputError(f"To submit a job, packages of ray[default] are needed here, and aiohttp is missing: {EXTRA}.")


def check_server(address: str) -> None:
    """InputError, within half a minute, where no job server that can be used answers at an address."""
    without = _get(address, "/api/jobs/", {})
    if without.status_code == 200:
        if must_be_closed(urlsplit(address).hostname or ""):
            raise open_cluster_error(address)
        version = _get(address, "/api/version", {})
    elif without.status_code in (401, 403):
        version = _get(address, "/api/version", _headers(address))
    else:
        raise _no_server(address, f"HTTP {without.status_code}")
    if version.status_code in (401, 403):
        raise InputError(f"The cluster at {address} refuses the token that it is shown. {TOKEN}")
    try:
        there = str(version.json()["ray_version"])
    except (ValueError, KeyError, TypeError):
        raise _no_server(address, "it says no version") from None
    import ray

    if there != ray.__version__:
        raise InputError(
            f"The cluster at {address} runs Ray {there}, and this is Ray {ray.__version__}: they must be the same. Use "
            "the cluster's version here, or start it with this one."
        )


def client_of(address: str) -> Any:
    """Ray's own client of a job server, none of whose questions waits without an end."""
    need_packages()
    from ray.job_submission import JobSubmissionClient

    for name in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk", "_private.runtime_env.packaging"):
        logging.getLogger(f"ray.{name}").setLevel(logging.ERROR)  # what is uploaded is not for the screen

    class Patient(JobSubmissionClient):
        def _do_request(self, *arguments: Any, **options: Any) -> Any:
            return super()._do_request(*arguments, **options, timeout=(CONNECTING, UPLOADING))

    with _told(address), _without(ADDRESSES):
        return Patient(address)


def info(client: Any, address: str, job: str) -> Any:
    """What the server says of a job; None where it knows none of that name: its cluster was started anew."""
    with _told(address):
        try:
            return client.get_job_info(job)
        except RuntimeError as error:
            if "status code 404" in str(error):
                return None
            raise


def submit(client: Any, address: str, **job: Any) -> None:
    """Submit a job, with what it ships; again for a while where a head that has just started is not ready for it."""
    until = time.monotonic() + UPLOADING
    with _told(address):
        while True:
            try:
                client.submit_job(**job)
                return
            except RuntimeError as error:
                if NOT_READY not in str(error) or time.monotonic() > until:
                    raise
            time.sleep(2)


def whole_log(client: Any, address: str, job: str) -> str:
    """A job's log so far."""
    with _told(address):
        return str(client.get_job_logs(job))


def ask_to_stop(client: Any, address: str, job: str) -> bool:
    """Have the server send SIGTERM to a job; whether it ran."""
    with _told(address):
        return bool(client.stop_job(job))


def follow(client: Any, address: str, job: str, write: Callable[[str], object]) -> Any:
    """Write a job's log until the job has ended, over broken connections too; what the server says of it then.

    None where the server knows it no more. InputError where the head does not come back.
    """
    written = 0

    def write_new(seen: int, text: str) -> int:
        """The stream begins anew with each connection: write what lies behind what was written."""
        nonlocal written
        fresh = text[max(0, written - seen) :]
        write(fresh)
        written += len(fresh)
        return seen + len(text)

    while True:
        with suppress(Exception):  # whatever ends the stream, the job's state tells how to go on
            asyncio.run(_stream(client, job, write_new))
        found = _asked_again(client, address, job)
        if found is None or found.status.value in ENDED:
            with suppress(Exception):
                write_new(0, whole_log(client, address, job))  # what was logged between the stream's end and the job's
            return found


async def _stream(client: Any, job: str, write_new: Callable[[int, str], int]) -> None:
    """Write what comes; ends where nothing comes for a while, and the job has ended or the server does not answer."""
    seen = 0
    lines = client.tail_job_logs(job)
    try:
        waiting = asyncio.ensure_future(anext(lines))
        while True:
            done, _ = await asyncio.wait([waiting], timeout=SILENT)
            if done:
                seen = write_new(seen, waiting.result())
                waiting = asyncio.ensure_future(anext(lines))
            elif client.get_job_info(job).status.value in ENDED:
                waiting.cancel()
                return
    finally:
        with suppress(Exception, asyncio.CancelledError):
            await lines.aclose()


def _asked_again(client: Any, address: str, job: str) -> Any:
    """What the server says of a job, waited for where it does not answer for a while."""
    until = time.monotonic() + AWAY
    while True:
        try:
            found = info(client, address, job)
        except InputError:
            if time.monotonic() > until:
                raise
            time.sleep(2)
            continue
        if found is not None and found.status.value not in ENDED:
            time.sleep(1)  # a stream that broke off at once is not asked for in a circle
        return found


def _get(address: str, path: str, headers: dict[str, str]) -> Any:
    import requests

    with _told(address):
        return requests.get(address + path, headers=headers, timeout=(CONNECTING, ANSWERING), allow_redirects=False)


def _headers(address: str) -> dict[str, str]:
    """The token, as Ray reads it; InputError where this process is not told to show one, or has none."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        raise InputError(
            f"The cluster at {address} asks for a token. Set RAY_AUTH_MODE=token here as on its head. {TOKEN}"
        )
    from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled

    try:
        headers: dict[str, str] = get_auth_headers_if_auth_enabled({})
    except Exception as error:  # Ray's own of many kinds, such as for a path where no file is
        raise InputError(f"RAY_AUTH_MODE is token, and none can be read ({_first(error)}). {TOKEN}") from None
    if not headers:
        raise InputError(f"RAY_AUTH_MODE is token, and there is no token to show the cluster at {address}. {TOKEN}")
    return headers


@contextmanager
def _told(address: str) -> Iterator[None]:
    """What keeps a server from answering, as an InputError."""
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except (requests.RequestException, ConnectionError) as error:
        cause = "no answer came" if isinstance(error, requests.Timeout) else _cause(error)
        raise InputError(
            f"No job server answers at {address} ({cause}). It belongs to the head's dashboard: see that the head was "
            "started with it (`ray start --head --include-dashboard=true`, with ray[default] installed there), and "
            "that its port is open to this machine, or lead it here: ssh -L 8265:127.0.0.1:8265 HEAD."
        ) from None
    except AuthenticationError:
        raise InputError(f"The cluster at {address} refuses the token that it is shown. {TOKEN}") from None
    except RuntimeError as error:
        said = " … ".join(dict.fromkeys((_first(error), str(error).strip().splitlines()[-1][:300])))
        raise InputError(f"The job server at {address} refuses: {said}") from None


def _cause(error: Exception) -> str:
    """The system's own words on why a connection could not be made."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        reason = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
        inner = inner.__cause__ or inner.__context__ or (reason if isinstance(reason, BaseException) else None)
    return _first(error)


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _no_server(address: str, cause: str) -> InputError:
    return InputError(
        f"What answers at {address} is no job server of Ray ({cause}). Give that of the head's dashboard, such as "
        "http://HEAD:8265."
    )


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """The environment without some variables, for a while."""
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)
