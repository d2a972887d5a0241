"""Bundles of tensors as bytes: docs/protocol.md, "Payloads"."""

import json
import struct

import numpy
import torch

Bundle = dict[str, torch.Tensor]

FP32 = 1
FP16 = 2

_DTYPES = {"F32": numpy.float32, "F16": numpy.float16, "I64": numpy.int64}
_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}


def decode(data: bytes) -> Bundle:
    """The tensors of a safetensors file, those of half precision as F32."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    bundle: Bundle = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = numpy.frombuffer(body[begin:end], _DTYPES[entry["dtype"]])
        tensor = torch.from_numpy(values.reshape(entry["shape"]).copy())
        bundle[name] = tensor.float() if tensor.dtype == torch.float16 else tensor
    return bundle


def encode(bundle: Bundle, codec: int) -> bytes:
    """The bundle as a safetensors file; with the codec fp16 every F32 tensor as F16."""
    header: dict[str, object] = {}
    parts: list[bytes] = []
    offset = 0
    for name, tensor in bundle.items():
        if codec == FP16 and tensor.dtype == torch.float32:
            tensor = _to_half(name, tensor)
        part = tensor.contiguous().numpy().tobytes()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(part)],
        }
        parts.append(part)
        offset += len(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def _to_half(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Rounded to nearest, ties to even, as IEEE 754 and PyTorch do."""
    if not bool((tensor.abs() <= 65504).all()):
        raise ValueError(f"a value does not fit fp16: {name}")
    return tensor.half()
