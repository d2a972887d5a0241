"""Losses: docs/protocol.md, "Losses". Each is the mean over a batch of logits."""

from typing import Callable, NamedTuple

import torch
from torch.nn import functional

Logits = torch.Tensor


class Loss(NamedTuple):
    """The two terms of the discriminator's loss, and the generator's."""

    real: Callable[[Logits, float], torch.Tensor]
    fake: Callable[[Logits], torch.Tensor]
    generator: Callable[[Logits], torch.Tensor]
    # A logit above it says "real", one below it "fake".
    threshold: float


def _entropy(logits: Logits, target: float) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _squares(logits: Logits, target: float) -> torch.Tensor:
    return functional.mse_loss(logits, torch.full_like(logits, target))


LOSSES = {
    "bce": Loss(_entropy, lambda x: _entropy(x, 0.0), lambda x: _entropy(x, 1.0), 0.0),
    "hinge": Loss(
        lambda x, _: functional.relu(1 - x).mean(),
        lambda x: functional.relu(1 + x).mean(),
        lambda x: -x.mean(),
        0.0,
    ),
    "lsgan": Loss(_squares, lambda x: _squares(x, 0.0), lambda x: _squares(x, 1.0), 0.5),
}
