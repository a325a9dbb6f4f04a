"""Files of weights, torch's and safetensors': every tensor by its name, read without running code."""

import argparse
import json
import math
import pathlib
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.errors import InputError

SAFETENSORS = ".safetensors"
LONGEST_HEADER = 100_000_000
"""Bytes of a safetensors header, as the format's own library bounds it."""
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
MOST_AXES = 16
DEEPEST = 12
"""Dicts in dicts, which is more than any checkpoint has."""
HARMLESS: list[Any] = [argparse.Namespace, pathlib.PosixPath]
"""What checkpoints hold beside tensors, most often the arguments of a training script; made from plain values."""
OTHER_KINDS = (
    (b"version https://git-lfs", "it is a pointer of Git LFS, not the file itself (git lfs pull gets it)"),
    (b"<", "it is a web page or XML, such as a download that asked for a login"),
    (b"\x89HDF", "it is an HDF5 file, such as Keras writes"),
    (b"\x93NUMPY", "it is an array of NumPy"),
    (b"\x1f\x8b", "it is packed with gzip; unpack it first"),
    (b"\x08", "it seems to be ONNX or TensorFlow's"),
)
HOW = "Give a file that torch.save(model.state_dict(), path) wrote, or a .safetensors file."


@dataclass(frozen=True)
class Entry:
    """A tensor of a file."""

    name: str
    """All keys that lead to it, joined by dots."""
    container: tuple[str, ...]
    """The keys of the dict that holds it."""
    value: Tensor


def read_entries(path: Path) -> list[Entry]:
    """Every tensor of a file of weights, on the CPU, in its order.

    InputError for a file that is none, is damaged, or can't be read without running code.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"{path} can't be read as a file of weights: {error.strerror}. Give another file.") from None
    if not head:
        raise InputError(f"{path} can't be read as a file of weights: it is empty. {HOW}")
    safe = path.suffix.lower() == SAFETENSORS or (head[8:9] == b"{" and not head.startswith(b"PK"))
    content = _safetensors(path) if safe else _torch(path, head)
    entries = list(_entries(content, ()))
    if not entries:
        raise InputError(f"{path} holds no state_dict (tensors by name). {HOW}")
    return entries


def _entries(content: Any, keys: tuple[str, ...]) -> Iterator[Entry]:
    if not isinstance(content, Mapping) or len(keys) > DEEPEST:
        return
    for key, value in content.items():
        if not isinstance(key, str):
            continue  # an optimizer's state, by number
        if isinstance(value, Tensor):
            if value.layout is torch.strided and not value.is_quantized and not value.is_meta:
                yield Entry(".".join((*keys, key)), keys, value.detach())
        else:
            yield from _entries(value, (*keys, key))


def _torch(path: Path, head: bytes) -> Any:
    try:
        with torch.serialization.safe_globals(HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch.load raises half a dozen kinds of error; what they say tells people to read the file unsafely.
        raise InputError(f"{path} can't be read as a file of weights: {_reason(path, head, error)}. {HOW}") from None


def _reason(path: Path, head: bytes, error: Exception) -> str:
    kind = next((said for start, said in OTHER_KINDS if head.startswith(start)), "")
    if kind:
        return kind
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            return "it is damaged or cut short"
        if any(name.endswith("constants.pkl") for name in names):
            return "it is a program of TorchScript"
        if not any(name.endswith("data.pkl") for name in names):
            return "it is a ZIP archive that torch.save did not write"
    elif head.startswith(b"PK"):
        return "it is damaged or cut short"
    code = re.search(r"GLOBAL ([A-Za-z_]\w*\.[\w.]{0,99})", str(error))
    if code is not None or ("weights_only" in str(error) and head.startswith((b"PK", b"\x80"))):
        named = "" if code is None else f" ({code[1].rstrip('.')})"
        return f"it holds Python objects{named}, such as a whole model, and reading these would run code"
    return "it is no file that torch.save wrote, or it is damaged"


def _safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file: 8 bytes of a length, so much JSON, and then the numbers."""
    try:
        content = bytearray(path.read_bytes())
        length = int.from_bytes(content[:8], "little")
        if len(content) < 8 or length > min(len(content) - 8, LONGEST_HEADER):
            raise ValueError("its header is longer than the file")
        header = json.loads(content[8 : 8 + length].decode("utf-8"))
        if not isinstance(header, dict):
            raise ValueError("its header is no table of tensors")
        header.pop("__metadata__", None)
        return {name: _tensor(content, 8 + length, name, told) for name, told in header.items()}
    except RecursionError:
        reason = "its header is nested too deeply"
    except UnicodeDecodeError:
        reason = "its header is no text"
    except json.JSONDecodeError:
        reason = "its header is no JSON"
    except OSError as error:
        reason = error.strerror or "it can't be opened"
    except ValueError as error:
        reason = str(error)
    raise InputError(f"{path} can't be read as a safetensors file: {reason}. It may be damaged or cut short. {HOW}")


def _tensor(content: bytearray, start: int, name: str, told: Any) -> Tensor:
    """One tensor of a safetensors file; ValueError where what is told of it does not fit the file."""
    shown = ascii(name[:100])
    if not isinstance(told, dict) or told.keys() < {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{shown} has no dtype, shape and offsets")
    shape, offsets, dtype = told["shape"], told["data_offsets"], DTYPES.get(str(told["dtype"]))
    if dtype is None:
        raise ValueError(f"{shown} is of {str(told['dtype'])[:20]!a}; known are {', '.join(DTYPES)}")
    if not isinstance(shape, list) or not isinstance(offsets, list):
        raise ValueError(f"the shape or the offsets of {shown} are no lists")
    numbers = [*shape, *offsets]
    if len(offsets) != 2 or len(shape) > MOST_AXES or not all(type(one) is int and 0 <= one < 2**48 for one in numbers):
        raise ValueError(f"the shape or the offsets of {shown} are no whole numbers from 0 on")
    (begin, end), count = offsets, math.prod(shape)
    if not begin <= end <= len(content) - start or count * dtype.itemsize != end - begin:
        raise ValueError(f"the bytes of {shown} are not those of its shape, or lie beyond the file's end")
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(content, dtype=dtype, count=count, offset=start + begin).clone().reshape(shape)
