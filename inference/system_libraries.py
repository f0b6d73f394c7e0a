"""Which Debian package holds a system library that a compiled module did not find."""

from __future__ import annotations

import re
from typing import Final

from framehook.inference.errors import MissingDependencyError

_PACKAGES: Final = {
    "libGL": "libgl1",
    "libEGL": "libegl1",
    "libglib-2.0": "libglib2.0-0",
    "libgthread-2.0": "libglib2.0-0",
    "libxcb": "libxcb1",
    "libX11": "libx11-6",
    "libSM": "libsm6",
    "libICE": "libice6",
    "libXext": "libxext6",
    "libXrender": "libxrender1",
    "libgomp": "libgomp1",
    "libz": "zlib1g",
}
"""The Debian packages of the system libraries that the wheels Framehook builds on do not bring themselves."""


def missing_library(error: ImportError) -> MissingDependencyError | None:
    """The error in words when a compiled module could not find a library of the system; None for any other `ImportError`."""
    found = re.match(r"((lib[\w.+-]+?)\.so[\w.]*): cannot open shared object file", str(error))
    if found is None:
        return None
    file, library = found[1], found[2]
    package = _PACKAGES.get(library) or _PACKAGES.get(re.sub(r"-\d+(\.\d+)?$", "", library))
    advice = f"on Debian or Ubuntu: apt-get install {package}" if package else "install the system package that holds it"
    return MissingDependencyError(f"the system library {file} is missing; {advice}")
