"""Ray, started when there is work for it and stopped afterwards; bound to this machine unless a cluster is named."""

import logging
import os
import secrets
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from orchestrator.machine.cluster import (
    ENDS,
    check_cluster,
    cluster_address,
    joining,
    must_be_closed,
    open_cluster_error,
)
from orchestrator.machine.engine_watch import EngineWatch
from orchestrator.machine.limits import check_limits, limits_text
from orchestrator.machine.offered import Offered
from orchestrator.machine.session_folder import SessionFolder
from orchestrator.machine.shipped_modules import shipped_modules
from orchestrator.machine.worker_path import job_of_this_path
from trainables.errors import InputError

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker with no GPU must see none
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # its kill breaks a search off; the kernel's is an ordinary worker death
    "RAY_task_oom_retries": "2",  # for ever, unless told
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # records.jsonl is the truth; ten files a trial are not needed
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "600",  # a worker that is not free again in time costs the next trial
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # nothing is ever restored from Tune's own state
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune's ends one study as if it were done; Ctrl-C must end the run
    "TUNE_MAX_PENDING_TRIALS_PG": "auto",
}


class Engine:
    """The Ray that a run works on. `start` may be called often; what was started here is stopped at the exit."""

    def __init__(self, cpus: int | None = None, gpus: int | None = None) -> None:
        self._cpus = cpus
        self._gpus = gpus
        self._started = False
        self._printing: Any = None
        self._watch: EngineWatch | None = None
        self._checked = False
        self._folder: SessionFolder | None = None

    @property
    def remote(self) -> bool:
        """True where a cluster is named, whose resources are known only once it answers."""
        return cluster_address() is not None

    def check(self) -> None:
        """InputError, within half a minute, where Ray can't be started here or the cluster not be joined. Once."""
        ray = sys.modules.get("ray")  # importing it takes a second
        if self._checked or (ray is not None and ray.is_initialized()):
            return
        address = cluster_address()
        if address is None:
            check_limits(self._cpus or 1)
        else:
            check_cluster(address)
        self._checked = True

    def start(self) -> None:
        """Start a local Ray, or join the cluster that RAY_ADDRESS names, unless Ray runs in this process already."""
        address = cluster_address()
        for name, value in (QUIET | (ENDS if address else {})).items():
            os.environ.setdefault(name, value)
        import ray

        if ray.is_initialized():
            return
        self.check()
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
        if address:
            patience = "TUNE_FUNCTION_THREAD_TIMEOUT_S"
            environment = {**shipped_modules(), "env_vars": {patience: os.environ[patience]}}
            options |= {"address": address, "runtime_env": environment}
        else:
            bind_to_loopback()
            options |= {
                "address": "local",
                "num_cpus": self._cpus,
                "num_gpus": self._gpus,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
            }
        token_folder = _token_folder()
        if token_folder is None and not address:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        on_termination = signal.getsignal(signal.SIGTERM)
        self._folder = None if address else SessionFolder()
        try:
            with warnings.catch_warnings(), joining(address), _silent_stderr():
                warnings.simplefilter("ignore")
                ray.init(**options, job_config=job_of_this_path())
        except BaseException as error:
            said = "" if self._folder is None else self._folder.last_words()
            with suppress(Exception):
                ray.shutdown()
            self._remove_folder()
            if isinstance(error, Exception):
                _tell(error, address, said)
            raise
        if address and _open_cluster():
            ray.shutdown()
            raise open_cluster_error(address)
        for token in () if token_folder is None else token_folder.glob("*token*"):
            with suppress(OSError):
                token.chmod(0o600)  # Ray writes it readable by all
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_termination)  # Ray's own would end this process before anything is said
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # a failed trial is a record, not a line on the screen
        from ray._private import worker

        # What Ray says of each dead worker, some twenty lines that log_to_driver does not stop: the trial's own row
        # says it in one. What Ray prints comes back when it is stopped here.
        self._printing = worker.print_to_stdstream
        worker.print_to_stdstream = lambda *ignored, **also_ignored: None
        self._started = True
        self._watch = EngineWatch(address, self._folder).start()

    def stop(self) -> None:
        """Stop what `start` started."""
        if self._started:
            import ray
            from ray._private import worker

            if self._watch is not None:
                self._watch.stop()
                with self._watch.leaving():
                    ray.shutdown()
            worker.print_to_stdstream = self._printing
            self._remove_folder()
            self._started = False

    def _remove_folder(self) -> None:
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def renew(self) -> bool:
        """Stop and start again, which frees what a search that broke off still holds; False where Ray is not ours."""
        if not self._started:
            return False
        self.stop()
        self.start()
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _tell(error: Exception, address: str | None, said: str) -> None:
    """Raise an InputError for what keeps Ray from starting, where it can be told; `said`: its servers' last words."""
    text = " ".join(str(error).split())[:500]
    if address:
        raise InputError(
            f"The cluster at {address} answered, and can't be joined: {text or type(error).__name__}. See that its "
            "nodes are up (`ray status` there), or unset RAY_ADDRESS to run on this machine."
        ) from error
    words = f"\nIts servers said last:\n{said}" if said else ""
    limits = limits_text()
    if isinstance(error, OSError) and not isinstance(error, ConnectionError) and not said:
        raise InputError(
            f"Ray could not start: {error}. It keeps its sockets and logs in a folder for temporary files: set "
            "RAY_TMPDIR to one where you may write, of a short path."
        ) from error
    if said or limits:
        raise InputError(f"Ray ended as it started: {text}.{limits and ' ' + limits}{words}") from error
    if "timed out" in text:
        raise InputError(
            "Ray did not start in time: this machine is too busy or short of memory. Nothing was begun; try again "
            "with less running beside it."
        ) from error


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep what Ray's C++ part says as it starts off the screen; what goes wrong is raised all the same."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _token_folder() -> Path | None:
    """Where Ray keeps its access token, closed to others; None where this user has no home to write to."""
    try:
        folder = Path.home() / ".ray"
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    except (OSError, RuntimeError):  # RuntimeError: no home at all, as for a container's nameless user
        return None
    return folder if os.access(folder, os.W_OK) else None


def _open_cluster() -> bool:
    """Whether the cluster that was joined serves callers without a token, beyond its own machine."""
    import ray
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    if is_token_auth_enabled():
        return False
    return must_be_closed(urlsplit(f"//{ray.get_runtime_context().gcs_address}").hostname or "")


def bind_to_loopback() -> None:
    """Keep Ray from turning 127.0.0.1 into the machine's outer address, on which all its servers would listen."""
    from ray._private import services

    services.resolve_ip_for_localhost = lambda host: host


def available() -> Offered:
    """CPUs and GPUs that the running Ray has in all, and of a cluster on each node."""
    import ray

    from orchestrator.machine.alive import Alive

    if cluster_address() is not None:
        return Alive().now()
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return Offered(resources.get("CPU", 0.0), resources.get("GPU", 0.0))
