"""The gradient of a unit: docs/protocol.md, "The gradient of a unit"."""

import dataclasses
from typing import Any, Callable

import torch

from gannet_worker import augment, losses, model
from gannet_worker.philox import Purpose, image_stream
from gannet_worker.tensors import Bundle

# Messages of the generated modules, which carry no types.
RunConfig = Any
WorkUnit = Any


@dataclasses.dataclass
class Statistics:
    """What is said of a gradient beside its bytes.

    Images judged right are counted: a sum of shares may end a little above 1, which is refused.
    """

    micro_batch_count: int = 0
    discriminator_loss: float = 0.0
    generator_loss: float = 0.0
    real_correct: int = 0
    fake_correct: int = 0


def micro_batches(image_count: int, micro_batch: int) -> list[range]:
    """Positions of each micro-batch; the last one has the remainder."""
    count = max(1, image_count // micro_batch)
    begins = [i * micro_batch for i in range(count)]
    return [range(begin, end) for begin, end in zip(begins, begins[1:] + [image_count])]


class GradientComputer:
    """Both networks of a run, and the gradient of a unit at given weights."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        networks = config.model
        self._generator = model.make_generator(networks.image_size, networks.latent_dim, networks.base_width)
        self._discriminator = model.make_discriminator(networks.image_size, networks.base_width)
        self._loss = losses.LOSSES[config.loss or "bce"]
        self._augmentations = {name for name in config.augment.split(",") if name}

    def set_weights(self, weights: Bundle) -> None:
        """Takes published weights."""
        model.load_weights(self._generator, "generator.", weights)
        model.load_weights(self._discriminator, "discriminator.", weights)

    def compute(
        self,
        unit: WorkUnit,
        read: Callable[[list[int]], torch.Tensor],
        on_progress: Callable[[int], None],
    ) -> tuple[Bundle, Statistics]:
        """The gradient with its BatchNorm statistics, in the layout of the run."""
        self._generator.zero_grad()
        self._discriminator.zero_grad()
        buffers: Bundle = {}
        statistics = Statistics()
        for positions in micro_batches(len(unit.image_indices), unit.micro_batch):
            real = read([unit.image_indices[i] for i in positions])
            self._add(unit, positions, real, buffers, statistics)
            statistics.micro_batch_count += 1
            on_progress(statistics.micro_batch_count)
        gradient: Bundle = {}
        for prefix, network in self._networks().items():
            for name, parameter in network.named_parameters():
                assert parameter.grad is not None
                gradient[prefix + name] = parameter.grad.clone()
        gradient.update(buffers)
        return gradient, statistics

    def _networks(self) -> dict[str, model.Network]:
        return {"generator.": self._generator, "discriminator.": self._discriminator}

    def _noise(self, unit: WorkUnit, positions: range) -> torch.Tensor:
        length = self._config.model.latent_dim
        rows = [image_stream(unit.seed, Purpose.NOISE, unit.round, unit.slot, i).normals(length) for i in positions]
        return torch.tensor(rows, dtype=torch.float64).float().reshape(-1, length, 1, 1)

    def _variations(self, unit: WorkUnit, positions: range) -> list[augment.Variation]:
        return [
            augment.draw_variation(
                image_stream(unit.seed, Purpose.VARIATION, unit.round, unit.slot, i),
                self._config.model.image_size,
            )
            for i in positions
        ]

    def _add(
        self,
        unit: WorkUnit,
        positions: range,
        real: torch.Tensor,
        buffers: Bundle,
        statistics: Statistics,
    ) -> None:
        """Adds one micro-batch to gradients, buffers and statistics."""
        images = len(positions)
        share = images / len(unit.image_indices)
        variations = self._variations(unit, positions)
        if self._config.flip:
            flips = torch.tensor([v.flip for v in variations]).reshape(-1, 1, 1, 1)
            real = torch.where(flips, real.flip(3), real)
        real = augment.augment(real, [v.real for v in variations], self._augmentations)

        fake = self._generator(self._noise(unit, positions))
        self._keep_buffers("generator.", self._generator, "fake", share, buffers)
        # The generator's gradient begins here, so that it never reaches the discriminator's.
        seen = fake.detach().requires_grad_()
        augmented = augment.augment(seen, [v.fake for v in variations], self._augmentations)

        real_logits = self._discriminator(real).flatten()
        self._keep_buffers("discriminator.", self._discriminator, "real", share, buffers)
        fake_logits = self._discriminator(augmented).flatten()
        self._keep_buffers("discriminator.", self._discriminator, "fake", share, buffers)

        loss_d = self._loss.real(real_logits, self._config.real_label)
        loss_d = loss_d + self._loss.fake(fake_logits)
        loss_g = self._loss.generator(fake_logits)
        (by_image,) = torch.autograd.grad(loss_g * share, seen, retain_graph=True)
        (loss_d * share).backward()
        fake.backward(by_image)

        threshold = self._loss.threshold
        statistics.discriminator_loss += share * loss_d.item()
        statistics.generator_loss += share * loss_g.item()
        statistics.real_correct += int((real_logits > threshold).sum().item())
        statistics.fake_correct += int((fake_logits < threshold).sum().item())

    @staticmethod
    def _keep_buffers(prefix: str, network: model.Network, which_pass: str, share: float, buffers: Bundle) -> None:
        for name, layer in network.batch_norms().items():
            for key, value in (("mean", layer.running_mean), ("var", layer.running_var)):
                assert value is not None
                full = f"{prefix}{name}.batch_{key}.{which_pass}"
                buffers[full] = buffers.get(full, 0) + share * value
