"""The `data.yaml` of a dataset that was made here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def write_yaml(file: Path, splits: Mapping[str, str], names: Mapping[int, str], *, about: str) -> None:
    """Write what `read_data` reads.

    Args:
        file: Where to.
        splits: Name of a split to where its pictures are, from the file's folder on.
        names: Class number to class name.
        about: Where it comes from, in a line.
    """
    # What JSON writes of a text is YAML, too, whatever the text holds.
    lines = [f"# {about}", "path: ."]
    lines += [f"{split}: {json.dumps(place, ensure_ascii=False)}" for split, place in splits.items()]
    lines += ["names:", *(f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in names.items())]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
