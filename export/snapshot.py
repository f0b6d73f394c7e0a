"""What callbacks in the background see of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from framehook.export.options import ExportOptions

if TYPE_CHECKING:
    from framehook.export.report import ExportReport


@dataclass(frozen=True, slots=True)
class ExportSnapshot:
    """What a background callback sees in place of the exporter; setting an attribute raises.

    Attributes are those of `Exporter`.
    """

    args: ExportOptions
    model: object
    device: str
    target: Path
    stage: str
    fraction: float
    path: Path | None
    report: ExportReport | None
    error: BaseException | None
