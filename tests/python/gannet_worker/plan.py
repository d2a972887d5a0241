"""Which images a unit has: docs/protocol.md, "Order of the data"."""

from gannet_worker.gradient import RunConfig, WorkUnit
from gannet_worker.philox import Stream

_DATA_ORDER = 2


def epoch_order(seed: int, epoch: int, image_count: int) -> list[int]:
    """The permutation in which an epoch passes over the data (Fisher and Yates)."""
    order = list(range(image_count))
    stream = Stream(seed, _DATA_ORDER, epoch, 0)
    for i in range(image_count, 1, -1):
        j = stream.below(i)
        order[i - 1], order[j] = order[j], order[i - 1]
    return order


def planned_indices(config: RunConfig, unit: WorkUnit) -> list[int]:
    """The images of the unit in a run whose settings have never been changed."""
    first = (unit.round - 1) * config.units_per_round + unit.slot
    begin = first * config.images_per_unit
    image_count = config.data.image_count
    orders: dict[int, list[int]] = {}
    indices = []
    for position in range(begin, begin + config.images_per_unit):
        epoch, place = divmod(position, image_count)
        if epoch not in orders:
            orders[epoch] = epoch_order(config.seed, epoch, image_count)
        indices.append(orders[epoch][place])
    return indices
