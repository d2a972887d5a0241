"""Trains a DCGAN with PyTorch as its example does, on images that `gannet data pack` wrote, and
keeps the generator now and then: to see gannet's training beside it (./run bench pytorch).

usage: pytorch_dcgan.py PACKED OUT --updates N --batch N --every N [--width N] [--latent N] [--seed N]
"""

import argparse
import json
import os
import struct
import sys
import time

try:
    import numpy
    import torch
    from torch import nn
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def read_packed(path):
    with open(path, "rb") as file:
        head = file.read(4096)
        assert head[:8] == b"GANNETPK", path
        (length,) = struct.unpack("<I", head[8:12])
        header = json.loads(head[12 : 12 + length])
        side = header["image_size"]
        count = header["image_count"]
        images = numpy.frombuffer(file.read(count * 3 * side * side), numpy.uint8)
    return images.reshape(count, 3, side, side)


def write_safetensors(path, tensors):
    header, body, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, value in tensors.items():
        array = value.numpy()
        dtype = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        body.append(array.tobytes())
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(body))


def initialise(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def generator(side, latent, base):
    width = base * side // 8
    layers = [nn.ConvTranspose2d(latent, width, 4, 1, 0, bias=False)]
    while width > base:
        layers += [nn.BatchNorm2d(width), nn.ReLU(True), nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)]
        width //= 2
    layers += [nn.BatchNorm2d(width), nn.ReLU(True), nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
    return nn.Sequential(*layers)


def discriminator(side, base):
    layers, width = [nn.Conv2d(3, base, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)], base
    while width < base * side // 8:
        layers += [nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2, True)]
        width *= 2
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 0, bias=False))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("packed")
    parser.add_argument("out")
    for name, default in {"updates": 1000, "batch": 64, "every": 250, "width": 32, "latent": 100, "seed": 1}.items():
        parser.add_argument("--" + name, type=int, default=default)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    images = read_packed(options.packed)
    side = images.shape[2]
    g, d = generator(side, options.latent, options.width), discriminator(side, options.width)
    g.apply(initialise)
    d.apply(initialise)
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    g_step, d_step = torch.optim.Adam(g.parameters(), **adam), torch.optim.Adam(d.parameters(), **adam)
    loss = nn.BCEWithLogitsLoss()
    os.makedirs(options.out, exist_ok=True)

    def save(update):
        tensors = {"main." + name: value for name, value in g.state_dict().items()}
        write_safetensors(os.path.join(options.out, f"update_{update:06d}.safetensors"), tensors)

    save(0)
    order, computing = [], 0.0
    for update in range(1, options.updates + 1):
        while len(order) < options.batch:
            order += torch.randperm(len(images)).tolist()
        chosen, order = order[: options.batch], order[options.batch :]
        begin = time.monotonic()
        real = torch.from_numpy(images[chosen]).float() / 127.5 - 1
        noise = torch.randn(options.batch, options.latent, 1, 1)
        d.zero_grad()
        logits = d(real).flatten()
        loss(logits, torch.full_like(logits, 0.9)).backward()
        fake = g(noise)
        logits = d(fake.detach()).flatten()
        loss(logits, torch.zeros_like(logits)).backward()
        d_step.step()
        g.zero_grad()
        logits = d(fake).flatten()
        loss(logits, torch.ones_like(logits)).backward()
        g_step.step()
        computing += time.monotonic() - begin
        if update % options.every == 0:
            save(update)
    print(f"{options.updates * options.batch / computing:.1f}")


main()
