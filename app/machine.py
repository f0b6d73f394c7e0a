"""What this program runs on: versions, cores, memory."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

SHOWN: Final = ("framehook", "numpy", "opencv", "onnxruntime", "av", "supervision", "trackers")
"""Packages whose versions decide about speed and results."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A computer, or the part of it that a container may use.

    Attributes:
        system: Its operating system, with the version.
        processor: What its processor calls itself, or an empty text.
        cores: Cores there are; this program may run on fewer (`usable_cores`).
        quota: Cores' worth of time that a container may use, or None for no limit.
        memory: Bytes of memory this program may use, or None where that cannot be told.
        available: Bytes of it that are free, or None.
    """

    system: str
    processor: str
    cores: int
    quota: float | None = None
    memory: int | None = None
    available: int | None = None


def this_machine(root: Path = Path("/")) -> Machine:
    """The machine we are on.

    Args:
        root: Where `proc` and `sys` are.
    """
    total, available = _memory(root)
    limits = list(_memory_limits(root))
    if available is not None:
        available = min(available, *(free for _, free in limits)) if limits else available
    limit = min((limit for limit, _ in limits), default=None)
    if limit is not None and (total is None or limit < total):
        total = limit
    return Machine(
        system=platform.platform(),
        processor=_processor(root),
        cores=os.cpu_count() or 1,
        quota=_least(_quotas(root)),
        memory=total,
        available=available,
    )


def installed_packages() -> dict[str, str]:
    """Versions of all packages by name, in small letters with dashes; nothing is imported."""
    found: dict[str, str] = {}
    for each in distributions():
        try:
            name, version = each.metadata["Name"], each.version
        except (KeyError, TypeError, OSError):
            continue  # what is left of a package that was not removed properly
        if name:
            # The first one found is the one that is imported.
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return found


def versions(packages: Mapping[str, str]) -> dict[str, str]:
    """Versions of Python and of what matters among `packages`: all of a family, such as onnxruntime and onnxruntime-gpu."""
    chosen = {"python": platform.python_version()}
    for family in SHOWN:
        chosen.update({name: version for name, version in sorted(packages.items()) if name.split("-")[0] == family})
    return chosen


def text_of(path: Path) -> str:
    """What a file of the system says; an empty text where there is no such file or it may not be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _processor(root: Path) -> str:
    named = re.search(r"^model name\s*:\s*(.+)$", text_of(root / "proc/cpuinfo"), re.MULTILINE)
    return named[1].strip() if named else platform.processor()


def _memory(root: Path) -> tuple[int | None, int | None]:
    """Bytes of memory, and those that are free."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", text_of(root / "proc/meminfo"), re.MULTILINE))
    total, available = sizes.get("MemTotal"), sizes.get("MemAvailable")
    if total is not None:
        return int(total) * 1024, None if available is None else int(available) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), None
    except (AttributeError, OSError, ValueError):  # Windows
        return None, None


def _quotas(root: Path) -> Iterator[float]:
    """Limits of processor time, in cores, of the control groups we are in."""
    for folder in _groups(root, "cpu"):
        quota, _, period = text_of(folder / "cpu.max").strip().partition(" ")
        if not quota:
            quota, period = text_of(folder / "cpu.cfs_quota_us").strip(), text_of(folder / "cpu.cfs_period_us").strip()
        if quota.isdecimal() and period.isdecimal():
            yield int(quota) / int(period)


def _memory_limits(root: Path) -> Iterator[tuple[int, int]]:
    """Limits of memory of the control groups we are in, in bytes, and what is left of each."""
    for folder in _groups(root, "memory"):
        limit = text_of(folder / "memory.max").strip() or text_of(folder / "memory.limit_in_bytes").strip()
        if not limit.isdecimal() or int(limit) >= 1 << 60:  # what version 1 calls no limit is a number with 19 digits
            continue
        used = text_of(folder / "memory.current").strip() or text_of(folder / "memory.usage_in_bytes").strip()
        # What files leave in memory counts as used, but makes room where it is needed; version 1 tells it of subgroups, too.
        cached = re.search(r"^(?:total_)?inactive_file (\d+)$", text_of(folder / "memory.stat"), re.MULTILINE)
        held = max(int(used) - (int(cached[1]) if cached else 0), 0) if used.isdecimal() else 0
        yield int(limit), max(int(limit) - held, 0)


def _groups(root: Path, kind: str) -> Iterator[Path]:
    """The folders of the control groups we are in, with all that they are in, in both versions of the interface."""
    for line in text_of(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if kinds and kind not in kinds.split(","):
            continue
        top = root / "sys/fs/cgroup" / (kind if kinds else "")
        folder = top / path.lstrip("/")
        yield from (each for each in (folder, *folder.parents) if each == top or top in each.parents)


def _least(limits: Iterator[float]) -> float | None:
    return min(limits, default=None)
