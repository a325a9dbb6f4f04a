"""What the driver does for workers that see none of its folders: it has a Home, and puts arrays within their reach."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from orchestrator.machine.home import HomeFiles, Kind, got, start_home
from trainables.small_files import FolderFiles

if TYPE_CHECKING:
    import ray

FILES = "files"
"""The kind of `FolderFiles` at home."""
SHARE = 0.5
"""How much of a machine's object store its workers may hold at a time, all together: what they hold can't make room for
what they ask for."""

Load = Callable[[], NDArray[Any]]


class Shipping:
    """Of one run. It is the driver's alone; what it gives to be pickled for workers is theirs."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        """What workers may ask Home for."""
        self._kinds = dict(kinds)
        self._home: Any = None
        self._job = ""
        self._loads: dict[Hashable, Load] = {}
        self._refs: dict[Hashable, ray.ObjectRef[Any]] = {}

    def start(self) -> None:
        """Have Home and all arrays in the Ray that runs, which may be another one than before."""
        import ray

        job = ray.get_runtime_context().get_job_id()
        if job != self._job:
            self._home, self._job = start_home(self._kinds), job
            self._refs = {key: ray.put(load()) for key, load in self._loads.items()}

    @property
    def home(self) -> Any:
        """The actor's handle."""
        assert self._home is not None, "Home must be started before anything is handed to workers"
        return self._home

    def files(self, folder: Path, *, made: bool = True) -> FolderFiles:
        """Files of a folder, for the driver; for the workers that they are handed to, too."""
        return ShippedFiles(folder, made, shipping=self)

    def put(self, arrays: Iterable[tuple[Hashable, Load]]) -> None:
        """Have arrays reach workers, by their keys; each is loaded once a Ray."""
        import ray

        self.start()
        for key, load in arrays:
            if key not in self._refs:
                self._loads[key], self._refs[key] = load, ray.put(load())

    def refs(self, keys: Iterable[Hashable]) -> list["ray.ObjectRef[Any]"]:
        """Where they are."""
        return [self._refs[key] for key in keys]


@dataclass(frozen=True)
class ShippedFiles(FolderFiles):
    """A folder's files; a worker has them by Home."""

    shipping: Shipping = field(kw_only=True, repr=False, compare=False)

    def __reduce__(self) -> Any:
        return HomeFiles, (self.shipping.home, FILES, (self.folder, self.made))


_HELD: OrderedDict[bytes, NDArray[Any]] = OrderedDict()
"""What this worker holds of the arrays that it fetched, the one used last at the end."""
_LOCK = Lock()


def fetched(ref: "ray.ObjectRef[Any]") -> NDArray[Any]:
    """An array that the driver has put, not copied: it lies in this machine's object store, which gets it where it
    lacks. Those used last are held, as many as may be."""
    key = ref.binary()
    with _LOCK:
        if key in _HELD:
            _HELD.move_to_end(key)
            return _HELD[key]
    array: NDArray[Any] = got(ref)
    with _LOCK:
        _HELD[key] = array
        while len(_HELD) > 1 and sum(one.nbytes for one in _HELD.values()) > _most_held():
            _HELD.popitem(last=False)
    return array


@cache
def _most_held() -> int:
    """Bytes that this worker may hold."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    has: dict[str, float] = next((one["Resources"] for one in nodes if one["NodeID"] == here), {})
    return int(SHARE * has.get("object_store_memory", 0) / max(1.0, has.get("CPU", 1.0)))
