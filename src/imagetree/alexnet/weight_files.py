"""Files of weights, opened: safetensors, torch's, ONNX and Caffe's, told apart by their content.

Nothing in them is trusted: no code of their author is run (torch's pickles are read by torch's
restricted reader, which knows tensors alone), and names, types and shapes are known before a value
is read, so that whoever wants a tensor can refuse it first.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from safetensors import SafetensorError, safe_open

from imagetree.alexnet.caffe_files import read_caffemodel, read_whole
from imagetree.alexnet.weights import DESCRIPTION_KEY, Stored, WeightFile, lacks_onnx
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled
_MAX_PICKLE = 1 << 20  # names and shapes of a few dozen tensors have some kilobytes
_NESTED = ("state_dict", "model")  # where training scripts put the state dict in a checkpoint
_SAFETENSORS_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
}
_ONNX_TYPES = {"DOUBLE": "float64", "FLOAT": "float32", "FLOAT16": "float16", "INT64": "int64"}


def open_weight_file(path: Path) -> WeightFile:
    """What is in a file of weights.

    Args:
        path: of a safetensors file, a state dict of torch's, an ONNX model or a `.caffemodel`.

    Raises:
        TrainingError: it cannot be read, is truncated, holds code, or is none of these.
    """
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror})") from error
    if head[8:9] == b"{":  # behind the length of the header
        return _read_safetensors(path)
    if head.startswith(b"PK\x03\x04"):
        _check_archive(path)
        return _read_torch(path, mmap=True)
    if head.startswith(_OLD_TORCH):
        return _read_torch(path, mmap=False)
    if head.startswith(b"\x08"):  # field 1, a number: the version of ONNX
        return _read_onnx(path)
    if head.startswith((b"\x0a", b"\x12", b"\xa2\x06")):  # fields 1, 2, 100 of a NetParameter
        return read_caffemodel(path)
    raise TrainingError(
        f"{path}: {_named(head)} (expected safetensors, torch's .pth, ONNX or .caffemodel)",
        hint="fetch the file again, or save the weights alone as safetensors",
    )


def _named(head: bytes) -> str:
    """What a file is that is not read."""
    if not head:
        return "empty"
    for start, name in (
        (b"\x89HDF", "HDF5"),
        (b"\x80", "a pickle that torch has not written"),
        (b"version https://git-lfs", "a pointer of Git LFS in the place of the file"),
        (b"<", "a web page, perhaps an error in the place of the file"),
    ):
        if head.startswith(start):
            return name
    return f"no weights, begins with {head[:8]!r}"


def _read_safetensors(path: Path) -> WeightFile:
    """The library holds the header to the file: offsets in order, no gap, no byte too many."""
    try:
        file: Any = safe_open(path, framework="pt")
        described = (file.metadata() or {}).get(DESCRIPTION_KEY)
        tensors = {}
        for name in file.keys():  # noqa: SIM118 (not a mapping)
            part = file.get_slice(name)
            kind = part.get_dtype()
            dtype = _SAFETENSORS_TYPES.get(kind, kind)
            tensors[name] = Stored(tuple(part.get_shape()), dtype, partial(file.get_tensor, name))
    except (SafetensorError, OSError) as error:
        raise _damaged(path, "safetensors", error) from error
    return WeightFile("safetensors", tensors, described)


def _check_archive(path: Path) -> None:
    """Refuse a zip that is not torch's, or whose members could grow when they are read."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _damaged(path, "torch's archives", error) from error
    names = {member.filename.partition("/")[2] for member in members}
    if "data.pkl" not in names or "constants.pkl" in names:
        is_program = bool(names & {"constants.pkl", "archive_format"})
        found = "a program of torch's (TorchScript or .pt2)" if is_program else "a zip"
        raise TrainingError(
            f"{path}: {found} (expected a state dict)",
            hint="torch.save(module.state_dict(), FILE) writes one",
        )
    for member in members:
        is_pickle = member.filename.endswith(".pkl")
        if member.compress_type != zipfile.ZIP_STORED:
            raise TrainingError(f"{path}: {member.filename!r} is compressed (expected stored)")
        if is_pickle and member.file_size > _MAX_PICKLE:
            raise TrainingError(
                f"{path}: {member.filename!r} has {member.file_size:,} bytes "
                f"(expected at most {_MAX_PICKLE:,})"
            )


def _read_torch(path: Path, *, mmap: bool) -> WeightFile:
    """A state dict; mapped, nothing but names and shapes is read. The old form is read whole.

    A false size in the old form costs address space and no memory: torch holds each to the file.
    """
    try:
        source = path if mmap else io.BytesIO(read_whole(path))
        loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=mmap or None)
    except pickle.UnpicklingError as error:
        first = str(error).split("\n\n")[-1].strip().splitlines()[0][:200]
        raise TrainingError(
            f"{path}: holds code or objects, or is damaged: refused unread ({first})",
            hint="torch.save(module.state_dict(), FILE) writes a file without any",
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "torch's files", error) from error
    except (AttributeError, IndexError, AssertionError, MemoryError) as error:
        raise _damaged(path, "torch's files", error) from error
    return WeightFile("torch", {name: _held(t) for name, t in _state_dict(path, loaded).items()})


def _state_dict(path: Path, loaded: object) -> Mapping[str, torch.Tensor]:
    """The tensors of a state dict, perhaps one in a checkpoint."""
    for key in _NESTED:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not loaded:
        raise TrainingError(f"{path}: holds {type(loaded).__name__} (expected a state dict)")
    for name, tensor in loaded.items():
        is_plain = isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided
        if not isinstance(name, str) or not is_plain or tensor.is_quantized:
            raise TrainingError(
                f"{path}: {str(name)[:80]!r} is no plain tensor (expected a state dict)",
                hint="torch.save(module.state_dict(), FILE) writes one",
            )
    return loaded


def _held(tensor: torch.Tensor) -> Stored:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Stored(tuple(tensor.shape), dtype, lambda: tensor.detach().clone())


def _read_onnx(path: Path) -> WeightFile:
    """The initialisers that have a layer's name; constants of the graph are passed over."""
    try:
        import onnx
    except ImportError as error:
        lacks_onnx(error)
    try:
        model = onnx.load_model_from_string(read_whole(path))
    except (DecodeError, ValueError) as error:
        raise _damaged(path, "ONNX", error) from error
    described = {entry.key: entry.value for entry in model.metadata_props}.get(DESCRIPTION_KEY)
    tensors = {}
    for tensor in model.graph.initializer:
        layer, _, kind = tensor.name.rpartition(".")
        if not layer or kind not in {"weight", "bias", "running_mean", "running_var"}:
            continue
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise TrainingError(
                f"{path}: {tensor.name!r} lies in another file (expected one file)",
                hint="onnx.save(onnx.load(FILE), OUTPUT) puts all into one",
            )
        name = onnx.TensorProto.DataType.Name(tensor.data_type)
        dtype = _ONNX_TYPES.get(name, name.lower())
        tensors[tensor.name] = Stored(tuple(tensor.dims), dtype, partial(_onnx_tensor, tensor))
    return WeightFile("onnx", tensors, described)


def _onnx_tensor(tensor: Any) -> torch.Tensor:
    from onnx import numpy_helper

    return torch.from_numpy(numpy_helper.to_array(tensor).copy())


def _damaged(path: Path, kind: str, error: Exception) -> TrainingError:
    lines = str(error).splitlines() or [type(error).__name__]
    return TrainingError(
        f"{path}: truncated or damaged, as {kind} go ({lines[0][:200]})",
        hint="fetch the file again",
    )
