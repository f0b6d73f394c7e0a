"""A frame's number and the time it was sent, written into its pixels.

The first rows of a picture hold cells of 8 x 8 pixels, black for 0 and white for 1, which is the block size of JPEG and so
survives it (and other codecs) unharmed: 32 bits of number, 48 bits of `time.monotonic()` in microseconds and 16 bits of check
sum. On Linux that clock is the same for all processes, so that whoever receives a frame can tell how old it is.
"""

from __future__ import annotations

import binascii
from typing import Any

import numpy as np

CELL = 8
_BYTES = 12  # without the check sum they would be 10
_BITS = _BYTES * 8


def strip_height(width: int) -> int:
    """Rows of pixels that a stamp takes in a picture of this width, a multiple of 16."""
    rows = -(-_BITS // (width // CELL))
    return -(-rows * CELL // 16) * 16


def stamp(image: np.ndarray[Any, Any], number: int, sent_at: float) -> None:
    """Write a stamp into the first rows of an H x W x 3 or H x W uint8 image, which has `strip_height` of them at least."""
    body = number.to_bytes(4, "big") + round(sent_at * 1e6).to_bytes(6, "big")
    data = body + binascii.crc_hqx(body, 0).to_bytes(2, "big")
    columns = image.shape[1] // CELL
    cells = np.zeros((strip_height(image.shape[1]) // CELL, columns), np.uint8)
    cells.reshape(-1)[:_BITS] = np.unpackbits(np.frombuffer(data, np.uint8)) * 255
    pixels = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)
    strip = image[: pixels.shape[0], : pixels.shape[1]]
    strip[...] = pixels if image.ndim == 2 else pixels[:, :, None]


def read_stamp(image: np.ndarray[Any, Any]) -> tuple[int, float]:
    """Return (number, `time.monotonic()` seconds at the sender) of an H x W x 3 image.

    Raises:
        ValueError: there is no stamp in it, or it is damaged.
    """
    columns = image.shape[1] // CELL
    rows = -(-_BITS // columns)
    green = image[: rows * CELL, : columns * CELL, 1]
    if green.shape != (rows * CELL, columns * CELL):
        raise ValueError(f"a picture of shape {image.shape} is too small for a stamp")
    middles = green.reshape(rows, CELL, columns, CELL)[:, 2:6, :, 2:6].mean(axis=(1, 3))
    data = np.packbits(middles.reshape(-1)[:_BITS] > 127).tobytes()
    body, check = data[:10], data[10:]
    if binascii.crc_hqx(body, 0).to_bytes(2, "big") != check:
        raise ValueError("the picture carries no stamp, or a damaged one")
    return int.from_bytes(body[:4], "big"), int.from_bytes(body[4:], "big") / 1e6
