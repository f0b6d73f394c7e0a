"""What the dialog of an export calls the options of it, and how messages about them read there."""

from __future__ import annotations

import re
from typing import Final

LABELS: Final = {
    "imgsz": "Network input",
    "batch": "Pictures at a time",
    "dynamic": "Any size and number of pictures",
    "opset": "Version of operators",
    "half": "Half precision",
    "int8": "Integers",
    "data": "Frames",
    "nms": "Suppress overlaps inside",
    "preprocess": "Take whole frames",
    "simplify": "Simplify the graph",
    "verify": "Prove it",
    "output": "File",
    "conf": "Least confidence",
    "iou": "Overlap",
    "max_det": "Most boxes",
    "device": "Runs on",
    "decoder": "Output layout",
    "architecture": "Architecture",
}
"""What the options are called in the dialog."""
_VALUE: Final = re.compile(rf"(?<![\w-])({'|'.join(LABELS)})=(True\b|False\b)?")


def in_dialog_terms(text: str) -> str:
    """A message about the options of an export, in the words of the dialog."""

    def said(found: re.Match[str]) -> str:
        label = f"“{LABELS[found[1]]}”"
        return label if found[2] == "True" else f"no {label}" if found[2] == "False" else f"{label} "

    return _VALUE.sub(said, text)


def option_in(text: str) -> str | None:
    """The option that a message is about; None where it names none."""
    named = _VALUE.search(text)
    return None if named is None else named[1]
