"""Loads what gannet trained into a DCGAN generator written with PyTorch's modules, as anybody who
takes the weights elsewhere would, and compares its images with gannet's own.

usage: generator_parity.py GANNET_BINARY
"""

import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

# On Debian 13 the images agree to rounding as well; there oneDNN is switched off, because its
# version leaves parts of NCHW convolutions unwritten for some numbers of channels.
torch.backends.mkldnn.enabled = False

TOLERANCE = 2e-5  # of values in [-1, 1]; float rounding over five layers


def read_safetensors(path):
    """The tensors of a file by name. The format is simple enough to need no package."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    dtypes = {"F32": numpy.float32, "I64": numpy.int64, "F64": numpy.float64}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            assert entry["format"] == "pt", entry
            continue
        begin, end = entry["data_offsets"]
        values = numpy.frombuffer(body[begin:end], dtypes[entry["dtype"]])
        tensors[name] = torch.from_numpy(values.reshape(entry["shape"]).copy())
    return tensors


class Generator(torch.nn.Module):
    """The generator of the PyTorch DCGAN example, for any image size."""

    def __init__(self, image_size, latent_dim, base_width):
        super().__init__()
        nn = torch.nn
        width = base_width * image_size // 8
        layers = [nn.ConvTranspose2d(latent_dim, width, 4, 1, 0, bias=False)]
        while width > base_width:
            layers += [nn.BatchNorm2d(width), nn.ReLU(True)]
            layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)]
            width //= 2
        layers += [nn.BatchNorm2d(width), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, latent):
        return self.main(latent.reshape(latent.shape[0], -1, 1, 1))


class Residual(torch.nn.Module):
    def __init__(self, main, shortcut):
        super().__init__()
        self.main = torch.nn.Sequential(*main)
        self.shortcut = torch.nn.Sequential(*shortcut)

    def forward(self, x):
        return self.main(x) + self.shortcut(x)


class ResnetGenerator(torch.nn.Module):
    """The kind "resnet": the layers between the first and the last are residual blocks."""

    def __init__(self, image_size, latent_dim, base_width):
        super().__init__()
        nn = torch.nn
        width = base_width * image_size // 8
        layers = [nn.ConvTranspose2d(latent_dim, width, 4, 1, 0, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        while width > base_width:
            half = width // 2
            main = [
                nn.ConvTranspose2d(width, half, 4, 2, 1, bias=False),
                nn.BatchNorm2d(half),
                nn.ReLU(),
                nn.Conv2d(half, half, 3, 1, 1, bias=False),
            ]
            layers += [
                Residual(main, [nn.Conv2d(width, half, 1, bias=False), nn.Upsample(scale_factor=2)]),
                nn.BatchNorm2d(half),
                nn.ReLU(),
            ]
            width = half
        layers += [nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, latent):
        return self.main(latent.reshape(latent.shape[0], -1, 1, 1))


GENERATORS = {"dcgan": Generator, "resnet": ResnetGenerator}


def run(*arguments):
    result = subprocess.run(arguments, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert result.returncode == 0, f"{arguments}: {result.stdout}{result.stderr}"


def kinds(gannet):
    """What model.kind may be."""
    listing = subprocess.run(
        [gannet, "config", "keys", "--markdown"], capture_output=True, text=True, check=True
    ).stdout
    (line,) = [line for line in listing.splitlines() if line.startswith("| `model.kind` |")]
    return set(line.split("|")[2].replace("one of", "").replace(" ", "").split(","))


def check(gannet, folder, image_size, latent_dim, base_width, kind):
    out = os.path.join(folder, f"{kind}{image_size}")
    run(
        gannet,
        "train-local",
        "--out",
        out,
        "--image-size",
        str(image_size),
        "--latent-dim",
        str(latent_dim),
        "--model.base_width",
        str(base_width),
        "--model.kind",
        kind,
        "--batch-size",
        "8",
        "--data.count",
        "16",
        "--run.rounds",
        "3",
        "--lr",
        "0.05",
        "--training.real_label",
        "0.9",
    )
    tensors_path = os.path.join(folder, "tensors.safetensors")
    weights = os.path.join(out, "weights.safetensors")
    run(
        gannet,
        "sample",
        "--weights",
        weights,
        "--count",
        "6",
        "--tensors",
        tensors_path,
        "--out",
        os.path.join(folder, "grid.png"),
    )
    generator = GENERATORS[kind](image_size, latent_dim, base_width)
    # strict: every name, shape and dtype is as PyTorch expects, and there is nothing else.
    generator.load_state_dict(read_safetensors(os.path.join(out, "generator.safetensors")), strict=True)
    generator.eval()
    ours = read_safetensors(tensors_path)
    with torch.no_grad():
        images = generator(ours["latents"])
    difference = (images - ours["images"]).abs().max().item()
    print(
        f"{kind} {image_size}x{image_size}: largest difference {difference:.1e} of values with deviation {images.std().item():.2f}"
    )
    assert images.std().item() > 1e-2, "the images are all grey, which would compare anything with anything"
    assert difference <= TOLERANCE, difference

    # A checkpoint holds both networks under the same names, and moments as Adam has them.
    checkpoint = read_safetensors(os.path.join(out, "checkpoints", "round_000003.safetensors"))
    for name, value in generator.state_dict().items():
        assert torch.equal(checkpoint["generator." + name], value), name
    assert checkpoint["step"].item() == 3
    assert checkpoint["generator.main.0.weight.exp_avg"].shape == generator.main[0].weight.shape


def main():
    gannet = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        assert kinds(gannet) == set(GENERATORS), "a kind of networks has no generator here, or one too many"
        for kind in GENERATORS:
            check(gannet, folder, 32, 100, 16, kind)
            check(gannet, folder, 64, 24, 8, kind)
        check(gannet, folder, 128, 16, 8, "dcgan")


main()
