"""The DCGAN: docs/protocol.md, "Networks"."""

import torch
from torch import nn

from gannet_worker.tensors import Bundle

_BATCH_NORM_BUFFERS = (".running_mean", ".running_var", ".num_batches_tracked")


class Network(nn.Module):
    """An nn.Sequential under the name "main"."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output of the last layer."""
        return self.main(x)

    def batch_norms(self) -> dict[str, nn.BatchNorm2d]:
        """The BatchNorm layers by name, in order."""
        return {n: m for n, m in self.named_modules() if isinstance(m, nn.BatchNorm2d)}


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    # With momentum 1 the running statistics after a pass are those of its batch, the variance
    # unbiased: exactly what a worker reports. In training mode the output does not depend on them.
    return nn.BatchNorm2d(channels, momentum=1.0)


def make_generator(image_size: int, latent_dim: int, base_width: int) -> Network:
    """From noise of shape (n, latent_dim, 1, 1) to images."""
    width = base_width * image_size // 8
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(latent_dim, width, 4, 1, 0, bias=False),
        _batch_norm(width),
        nn.ReLU(),
    ]
    while width > base_width:
        layers += [
            nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False),
            _batch_norm(width // 2),
            nn.ReLU(),
        ]
        width //= 2
    layers += [nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
    return Network(layers)


def make_discriminator(image_size: int, base_width: int) -> Network:
    """From images to logits of shape (n, 1, 1, 1)."""
    layers: list[nn.Module] = [nn.Conv2d(3, base_width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    width = base_width
    while width < base_width * image_size // 8:
        layers += [
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            _batch_norm(2 * width),
            nn.LeakyReLU(0.2),
        ]
        width *= 2
    layers.append(nn.Conv2d(width, 1, 4, 1, 0, bias=False))
    return Network(layers)


def load_weights(network: Network, prefix: str, weights: Bundle) -> None:
    """Takes the parameters below `prefix`; the buffers are of no use to a worker."""
    state = {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix) and not name.endswith(_BATCH_NORM_BUFFERS)
    }
    result = network.load_state_dict(state, strict=False)
    missing = [name for name in result.missing_keys if not name.endswith(_BATCH_NORM_BUFFERS)]
    if missing or result.unexpected_keys:
        raise ValueError(f"weights of other networks: {missing} {result.unexpected_keys}")
