"""Data sets: docs/protocol.md, "Data"."""

import dataclasses
import hashlib
import json
import pathlib
import struct

import numpy
import torch


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """What Join compares; the description is for people."""

    kind: str
    image_count: int
    digest: str
    description: str


class PackedDataset:
    """A file that `gannet data pack` made."""

    _MAGIC = b"GANNETPK"
    _HEADER_BYTES = 4096

    def __init__(self, path: pathlib.Path, image_size: int) -> None:
        file = path.read_bytes()
        if file[:8] != self._MAGIC:
            raise ValueError(f"not a packed data set: {path}")
        (length,) = struct.unpack_from("<I", file, 8)
        header = json.loads(file[12 : 12 + length])
        if header["version"] != 1:
            raise ValueError(f"packed data set of another version: {header['version']}")
        if header["image_size"] != image_size:
            raise ValueError(f"packed for {header['image_size']} pixels, the run has {image_size}")
        body = memoryview(file)[self._HEADER_BYTES :]
        if hashlib.sha256(body).hexdigest() != header["sha256"]:
            raise ValueError(f"packed data set is damaged: {path}")
        self.fingerprint = Fingerprint(header["kind"], header["image_count"], header["digest"], header["description"])
        shape = (header["image_count"], 3, image_size, image_size)
        pixels = numpy.frombuffer(body, numpy.uint8, count=int(numpy.prod(shape)))
        self._images = pixels.reshape(shape)

    def read(self, indices: list[int]) -> torch.Tensor:
        """The images of these indices, values in [-1, 1]."""
        return torch.from_numpy(self._images[indices]).float() / 127.5 - 1.0
