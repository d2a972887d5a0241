"""Random numbers: docs/protocol.md, "Random numbers"."""

import enum
import math

_MASK32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)

Block = tuple[int, int, int, int]


class Purpose(enum.IntEnum):
    """What a stream is for, as far as a worker draws."""

    NOISE = 3
    VARIATION = 6


def philox4x32(counter: Block, key: tuple[int, int]) -> Block:
    """Ten rounds of Philox4x32 (Salmon et al. 2011)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0 = _MULTIPLIERS[0] * c0
        product1 = _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (product1 >> 32) ^ c1 ^ k0,
            product1 & _MASK32,
            (product0 >> 32) ^ c3 ^ k1,
            product0 & _MASK32,
        )
        k0 = (k0 + _KEY_INCREMENTS[0]) & _MASK32
        k1 = (k1 + _KEY_INCREMENTS[1]) & _MASK32
    return c0, c1, c2, c3


class Stream:
    """The numbers of the stream (seed, purpose, a, b), one after the other."""

    def __init__(self, seed: int, purpose: int, a: int, b: int) -> None:
        self._key = (seed & _MASK32, seed >> 32)
        self._name = (b, a & _MASK32, a >> 32 | purpose << 16)
        self._blocks = 0
        self._words: list[int] = []

    def next32(self) -> int:
        """The next word of 32 bits."""
        if not self._words:
            self._words = list(philox4x32((self._blocks, *self._name), self._key))
            self._blocks += 1
        return self._words.pop(0)

    def uniform(self) -> float:
        """In [0, 1), a multiple of 2^-24."""
        return (self.next32() >> 8) * 2.0**-24

    def below(self, bound: int) -> int:
        """In 0..bound-1, without bias."""
        limit = (2**64 - 1) - (2**64 - 1) % bound
        while True:
            value = self.next32() << 32
            value |= self.next32()
            if value < limit:
                return value % bound

    def normals(self, count: int) -> list[float]:
        """Standard normal values, in double, by Box and Muller (1958)."""
        values: list[float] = []
        while len(values) < count:
            u1 = (self.next32() + 1.0) * 2.0**-32
            u2 = self.next32() * 2.0**-32
            radius = math.sqrt(-2.0 * math.log(u1))
            angle = 2.0 * math.pi * u2
            values += [radius * math.cos(angle), radius * math.sin(angle)]
        return values[:count]


def image_stream(seed: int, purpose: Purpose, round_number: int, slot: int, position: int) -> Stream:
    """The stream of one image of a unit: of its noise, or of its variation."""
    return Stream(seed, purpose, round_number, slot << 20 | position)
