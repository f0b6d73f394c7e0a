"""Image files: one picture, one frame."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from framehook.inference.errors import SourceError, SourceFormatError, SourceNotFoundError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.base import Source, unique_id


class ImageSource(Source):
    """A still picture; an animated one (WebP, PNG) gives its first.

    The file is read when its frame is asked for: thousands of these can be made at no cost. Pictures are turned upright as
    their EXIF data say; 16-bit and float ones are brought to 8 bits.
    """

    def __init__(self, path: str | Path, *, pixels: np.ndarray[Any, Any] | None = None) -> None:
        """Name a picture.

        Args:
            path: The file.
            pixels: H x W x 3 uint8 BGR, if the file was decoded already.
        """
        path = Path(path)
        size = None if pixels is None else (pixels.shape[1], pixels.shape[0])
        self.info = SourceInfo(unique_id(path.name), path.name, str(path), SourceKind.IMAGE, size=size, frame_count=1)
        self._file = path
        self._pixels = pixels
        self._done = False

    def read(self) -> Frame | None:
        if self.skip() is None:
            return None
        pixels, self._pixels = self._pixels, None
        captured_at = time.monotonic()
        if pixels is None:
            pixels = decode_image(self._file)
        if pixels is None:
            raise SourceFormatError(f"{self._file} is no image that can be read; it is damaged or of another kind")
        return Frame.of(pixels, index=0, source=self.info, pts=None, captured_at=captured_at)

    def skip(self) -> SourceInfo | None:
        was_done, self._done = self._done, True
        return None if was_done else self.info

    def close(self) -> None:
        self._done = True


def decode_image(path: Path) -> np.ndarray[Any, Any] | None:
    """Return the picture in a file, H x W x 3 uint8 BGR, or None where it holds none.

    The bytes are read here, not by `cv2.imread`: that cannot open paths outside the code page on Windows, and complains on
    stderr.

    Raises:
        SourceNotFoundError: the file is not there (any more).
        SourceError: it cannot be read.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path} does not exist") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror or error})") from error
    try:
        return cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:  # more pixels than OpenCV takes, or a header that lies
        return None
