"""Whether the cluster that RAY_ADDRESS names can be joined: asked with an end, for Ray itself waits without one."""

import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainables.errors import InputError

PATIENCE = 18.0
"""Seconds for the head to answer once it is asked."""
ASKING = 180.0
"""Seconds for this machine, however busy, to come to ask it."""
CONNECTING = 8.0
"""Seconds each for a name to be resolved, for a port to answer, and for the server to greet."""
JOINING = 25.0
"""Seconds to join it once it has answered: after 30 Ray ends this process itself, without a word."""
ENDS = {"RAY_py_gcs_connect_timeout_s": "8", "RAY_gcs_server_port_wait_time_s": "1"}
"""Of Ray's own tries to reach a head that has died since: one of these and a second one; else it is ten minutes."""
HERE = ("", "local")
"""Values of RAY_ADDRESS that name no cluster: Ray runs on this machine."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""With which HTTP/2 begins, and gRPC with it: a server answers with a frame of settings, known by its fourth byte."""
TOKEN = "Give the cluster's own: in RAY_AUTH_TOKEN, in a file that RAY_AUTH_TOKEN_PATH names, or in ~/.ray/auth_token."
_NEXT = (
    "Give the address of its head, HOST:PORT (the port of `ray start --head`, 6379 unless told otherwise), or unset "
    "RAY_ADDRESS to run on this machine."
)


def cluster_address() -> str | None:
    """What RAY_ADDRESS names; None where Ray is to run on this machine."""
    address = os.environ.get("RAY_ADDRESS", "").strip()
    return None if address in HERE else address


def check_cluster(address: str) -> None:
    """InputError, within half a minute, where no Ray that this process can join answers at an address.

    `auto` is what Ray finds on this machine, and may be dead; whether its token fits is Ray's own business there.
    """
    if address == "auto":
        found = _found_here()
        _knock(found, *_host_and_port(found))
        return
    host, port = _host_and_port(address)
    _knock(address, host, port)
    _ask(address)


def must_be_closed(host: str) -> bool:
    """Whether a host's servers may only be used where they ask for a token: others can reach them, too."""
    if os.environ.get("ORCHESTRATOR_OPEN_CLUSTER") == "1":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host != "localhost"


def open_cluster_error(address: str) -> InputError:
    """What is said of a cluster that asks for no token where it must."""
    return InputError(
        f"The cluster at {address} asks for no token, and its servers can be reached over the network: whoever "
        "reaches them can run code on every node (CVE-2023-48022). Start it with RAY_AUTH_MODE=token and set "
        "the same here. Where the network is closed by other means, ORCHESTRATOR_OPEN_CLUSTER=1 joins it all "
        "the same."
    )


@contextmanager
def joining(address: str | None) -> Iterator[None]:
    """End this process, with a word and 2, where Ray does not come back from joining a cluster: its C++ part may wait
    for a head or a local server that has died or hangs, where no exception reaches it. Nothing is begun then.

    `address`: None where no cluster is joined, and nothing is waited for.
    """
    if address is None:
        yield
        return
    screen = os.dup(2)  # Ray's own words are kept off it meanwhile

    def give_up() -> None:
        told = (
            f"Error: The cluster at {address} answered, and could not be joined in {JOINING:.0f} s: its head, or the "
            "Ray of this machine, hangs or has died. See `ray status` there, and whether `ray start --address` was "
            "given on this machine.\n"
        )
        with suppress(OSError):
            os.write(screen, told.encode())
        os._exit(2)

    timer = threading.Timer(JOINING, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        os.close(screen)


def _found_here() -> str:
    """The address of the Ray that was started on this machine last; InputError where there is none."""
    from ray._private.services import get_ray_address_from_environment

    try:
        return str(get_ray_address_from_environment("auto", None))
    except ConnectionError:
        raise InputError(f"RAY_ADDRESS is 'auto', and no Ray is found on this machine. {_NEXT}") from None


def _host_and_port(address: str) -> tuple[str, int]:
    """The parts of HOST:PORT or [IPV6]:PORT; InputError for anything else."""
    if "://" in address:
        raise InputError(f"RAY_ADDRESS is {address!r}, which is no address of a cluster's head. {_NEXT}")
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    plain = host and not any(letter.isspace() or letter in "/@?#," for letter in host) and host.isprintable()
    if not plain or (":" in host) != address.startswith("[") or not (port.isascii() and port.isdecimal()):
        raise InputError(f"RAY_ADDRESS is {address!r}, which is no HOST:PORT. {_NEXT}")
    if len(port) > 5 or not 0 < int(port) < 65536:
        raise InputError(f"RAY_ADDRESS is {address!r}, and a port is a number from 1 to 65535. {_NEXT}")
    return host, int(port)


def _knock(address: str, host: str, port: int) -> None:
    """InputError where the name can't be resolved, nothing listens, or what listens doesn't greet as Ray does."""
    failure: OSError | None = None
    for place in _resolved(address, host, port)[:2]:
        try:
            with socket.create_connection(place, CONNECTING / 2) as connection:
                if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
                    _greet(address, connection)
            return
        except OSError as error:
            failure = error
    cause = "no answer came" if isinstance(failure, TimeoutError) else getattr(failure, "strerror", None) or failure
    raise InputError(
        f"RAY_ADDRESS is {address!r}, and no Ray answers there ({cause}). Start the cluster first, see that its head's "
        "port is open to this machine, or unset RAY_ADDRESS to run on this machine."
    )


def _resolved(address: str, host: str, port: int) -> list[tuple[str, int]]:
    """The (IP, port) pairs of a name; InputError where it has none. The system's own look-up knows no end."""
    found: list[tuple[str, int]] = []
    failures: list[Exception] = []

    def look_up() -> None:
        try:
            told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys((str(one[4][0]), port) for one in told))
        except (OSError, UnicodeError) as error:
            failures.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(CONNECTING)
    if not found:
        cause = f" ({getattr(failures[0], 'strerror', None) or failures[0]})" if failures else ""
        raise InputError(f"RAY_ADDRESS is {address!r}, and the name {host!r} can't be resolved{cause}. {_NEXT}")
    return found


def _greet(address: str, connection: socket.socket) -> None:
    connection.settimeout(CONNECTING)
    answer = b""
    with suppress(ConnectionError):
        connection.sendall(GREETING)
        while len(answer) < 4 and (more := connection.recv(64)):
            answer += more
    if answer[3:4] != b"\x04":
        raise InputError(f"RAY_ADDRESS is {address!r}, and what answers there is no Ray. {_NEXT}")


def _ask(address: str) -> None:
    """Have a process of its own ask the head: where a token is wrong or missing, Ray's C++ part waits or aborts."""
    asking = [sys.executable, "-P", str(Path(__file__).with_name("ask_head.py")), address, str(PATIENCE)]
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    given_up = InputError(
        f"RAY_ADDRESS is {address!r}, and what listens there gave no answer in {PATIENCE:.0f} s: its head "
        f"hangs, is too busy, or is no Ray. {_NEXT}"
    )
    try:
        asked = subprocess.run(
            asking, env=os.environ | quiet, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            text=True, errors="replace", timeout=ASKING,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise given_up from None
    if asked.returncode == -signal.SIGALRM:
        raise given_up
    if asked.returncode == 0:
        there, here, fits = json.loads(asked.stdout.splitlines()[-1])
        if not fits:
            raise InputError(
                f"The cluster at {address} runs Ray {there[0]} on Python {there[1]}, and this is Ray {here[0]} on "
                f"Python {here[1]}: they must be the same. Use the cluster's versions here, or start it with these."
            )
        return
    told = asked.stderr
    if "couldn't find an authentication token" in told or "RAY_AUTH_TOKEN_PATH is set but" in told:
        raise InputError(f"RAY_AUTH_MODE is token, and there is no token to show the cluster at {address}. {TOKEN}")
    if "InvalidAuthToken" in told or "AuthenticationError" in told:
        if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
            raise InputError(
                f"The cluster at {address} asks for a token. Set RAY_AUTH_MODE=token here as on its head. {TOKEN}"
            )
        raise InputError(f"The cluster at {address} refuses the token that it is shown. {TOKEN}")
    last = (told.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
    raise InputError(f"RAY_ADDRESS is {address!r}, and the Ray there can't be asked ({last[:300]}). {_NEXT}")
