"""Flips and DiffAugment: docs/protocol.md, "Variations of images"."""

import dataclasses

import torch

from gannet_worker.philox import Stream


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What DiffAugment does to one image. A pair is (x, y)."""

    brightness: float
    saturation: float
    contrast: float
    shift: tuple[int, int]
    cut_begin: tuple[int, int]
    cut_side: int


def _draw_augmentation(stream: Stream, image_size: int) -> Augmentation:
    brightness = stream.uniform() - 0.5
    saturation = stream.uniform() * 2
    contrast = stream.uniform() + 0.5
    most = image_size // 8
    shift_x = stream.below(2 * most + 1) - most
    shift_y = stream.below(2 * most + 1) - most
    side = image_size // 2
    left = stream.below(image_size + 1) - side // 2
    top = stream.below(image_size + 1) - side // 2
    return Augmentation(brightness, saturation, contrast, (shift_x, shift_y), (left, top), side)


@dataclasses.dataclass(frozen=True)
class Variation:
    """How one position of a unit is varied."""

    flip: bool
    real: Augmentation
    fake: Augmentation


def draw_variation(stream: Stream, image_size: int) -> Variation:
    """Draws every number, also those that the run does not use."""
    flip = stream.uniform() < 0.5
    real = _draw_augmentation(stream, image_size)
    return Variation(flip, real, _draw_augmentation(stream, image_size))


def _colour(image: torch.Tensor, how: Augmentation) -> torch.Tensor:
    image = image + how.brightness
    grey = image.mean(dim=0, keepdim=True)
    image = (image - grey) * how.saturation + grey
    mean = image.mean()
    return (image - mean) * how.contrast + mean


def _translate(image: torch.Tensor, how: Augmentation) -> torch.Tensor:
    side = image.shape[-1]
    dx, dy = how.shift
    kept = image[:, max(dy, 0) : side + min(dy, 0), max(dx, 0) : side + min(dx, 0)]
    margins = (max(-dx, 0), max(dx, 0), max(-dy, 0), max(dy, 0))  # left, right, top, bottom
    return torch.nn.functional.pad(kept, margins)


def _cut_out(image: torch.Tensor, how: Augmentation) -> torch.Tensor:
    left, top = how.cut_begin
    mask = torch.ones_like(image)
    mask[:, max(top, 0) : top + how.cut_side, max(left, 0) : left + how.cut_side] = 0
    return image * mask


_STEPS = {"color": _colour, "translation": _translate, "cutout": _cut_out}
NAMES = frozenset(_STEPS)


def augment(images: torch.Tensor, how: list[Augmentation], names: set[str]) -> torch.Tensor:
    """The images, augmented by the steps of these names; autograd passes through them."""
    if not names:
        return images
    varied = []
    for image, augmentation in zip(images, how):
        for name, step in _STEPS.items():
            if name in names:
                image = step(image, augmentation)
        varied.append(image)
    return torch.stack(varied)
