"""What several commands print: rows of a label and a text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console


def print_rows(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Print a row for each label and its text, the texts below each other."""
    rows = list(rows)
    width = max((len(label) for label, _ in rows), default=0)
    for label, text in rows:
        console.print(f"  {label:<{width}}  {text}")


def print_json(console: Console, value: Any) -> None:
    """Print a value as JSON, whatever the console would make of its texts."""
    console.out(json_text(value), highlight=False)


def json_text(value: Any) -> str:
    """A value as JSON that people can read, too."""
    return json.dumps(value, indent=2, ensure_ascii=False)
