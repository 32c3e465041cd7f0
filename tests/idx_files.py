"""Small files in the form of MNIST."""

import struct

import numpy as np

RNG = np.random.default_rng(0)


COUNTS = {"train": 30, "t10k": 20}


def idx_bytes(array):
    """The content of an IDX file of uint8."""
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


ARRAYS = {}
for part, n in COUNTS.items():
    ARRAYS[f"{part}-images-idx3-ubyte"] = RNG.integers(0, 256, (n, 28, 28))
    ARRAYS[f"{part}-labels-idx1-ubyte"] = np.arange(n) % 10


FILES = {name: idx_bytes(array) for name, array in ARRAYS.items()}
