"""The shards of a store for workers that do not see it: they come by Ray's object store, each machine its own copy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.data.store.shards import Picture, Shard, ShardFolder, open_shard
from orchestrator.machine.shipping import Shipping, fetched

if TYPE_CHECKING:
    import ray


@dataclass(frozen=True)
class ShippedShards(ShardFolder):
    """Those of a folder; a worker has them by Ray."""

    names: tuple[str, ...]
    shipping: Shipping = field(repr=False, compare=False)

    def __reduce__(self) -> Any:
        refs = self.shipping.refs((self.folder, name) for name in self.names)
        return FetchedShards, (dict(zip(self.names, refs, strict=True)),)


@dataclass(frozen=True)
class FetchedShards:
    """Shards that the driver has put."""

    refs: Mapping[str, "ray.ObjectRef[Any]"]

    def opened(self, shard: Shard) -> Picture:
        return fetched(self.refs[shard.name])


def shipped_shards(folder: Path, shards: Sequence[Shard], shipping: Shipping) -> ShippedShards:
    """The shards in a folder, put where workers get them."""
    paths = {shard.name: folder / f"{shard.name}.npy" for shard in shards}
    shipping.put(((folder, one.name), partial(open_shard, paths[one.name], one.mtime_ns)) for one in shards)
    return ShippedShards(folder, tuple(paths), shipping)
