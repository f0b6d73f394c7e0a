"""What is right and wrong with this computer, for Framehook, and what to do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console

from framehook.app.checks import CHECKS, Check, Verdict
from framehook.app.machine import versions
from framehook.app.messages import output
from framehook.app.rows import print_json
from framehook.app.world import World, this_world
from framehook.inference.errors import FramehookError, one_line
from framehook.inference.system_libraries import missing_library

_PACKAGES: Final = {"onnxruntime": "onnxruntime", "opencv": "opencv-python", "codecs": "av"}
"""What to install again where something cannot be imported, by check."""
_WIDTH: Final = max(len(about) for about, _ in CHECKS)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        about: The check.
        verdict: What it came to.
        text: One line.
        remedy: What to do about it; where nothing needs to be done, an empty text.
    """

    about: str
    verdict: Verdict
    text: str
    remedy: str = ""


def run_doctor(*, as_json: bool = False) -> int:
    """Check this computer, and print what was found as it is found; returns the exit code, 1 if there is a problem."""
    out, world = output(), this_world()
    findings = []
    for finding in examine(world):
        findings.append(finding)
        if not as_json:
            print_finding(out, finding)
    problems = sum(each.verdict is Verdict.PROBLEM for each in findings)
    if as_json:
        checks = [asdict(each) for each in findings]
        print_json(out, {"ok": not problems, "versions": versions(world.packages), "checks": checks})
    else:
        out.print()
        out.print(_conclusion(findings))
    return 1 if problems else 0


def examine(world: World, checks: Sequence[tuple[str, Check]] | None = None) -> Iterator[Finding]:
    """Run the checks one by one; one that fails itself is a problem, and the others go on.

    Args:
        world: What to look at.
        checks: The checks with their names; all of them if not given.
    """
    failures: dict[str, str] = {}
    for about, check in CHECKS if checks is None else checks:
        try:
            for verdict, text, remedy in check(world):
                yield Finding(about, verdict, one_line(text), one_line(remedy))
        except Exception as error:  # noqa: BLE001 - whatever is broken here, it is what the user wants to know
            before = failures.setdefault(one_line(error), about)
            if before == about:
                yield _failed(about, error)
            else:
                yield Finding(about, Verdict.NOTE, f"could not be checked, for the same reason as {before}")


def print_finding(console: Console, finding: Finding) -> None:
    """Print a finding in a line, and the way out in another."""
    head = f"{finding.verdict:<7}  {finding.about:<{_WIDTH}}  "
    console.print(_filled(head, finding.text, console))
    if finding.remedy:
        # On a line of its own, so that a command in it can be copied.
        console.print(f"{'':<{len(head)}}-> {finding.remedy}")


def _filled(head: str, text: str, console: Console) -> str:
    """A text behind its head, filled up to the width of the terminal; one line where it goes elsewhere."""
    if not console.is_terminal or console.width < 2 * len(head):
        return head + text
    return textwrap.fill(
        text,
        console.width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _conclusion(findings: Sequence[Finding]) -> str:
    problems = sum(each.verdict is Verdict.PROBLEM for each in findings)
    if problems:
        return f"{problems} problem{'s' if problems > 1 else ''}. The lines that begin with -> say what to do."
    return "No problems: Framehook works here."


def _failed(about: str, error: Exception) -> Finding:
    if isinstance(error, ImportError) and not isinstance(error, FramehookError):
        error = missing_library(error) or error
    text, mark, remedy = one_line(error).partition("; ")
    if isinstance(error, FramehookError) and mark:
        return Finding(about, Verdict.PROBLEM, text, remedy)
    if isinstance(error, ImportError):
        package = _PACKAGES.get(about, "framehook")
        return Finding(
            about, Verdict.PROBLEM, f"cannot be loaded: {one_line(error)}", f"pip install --force-reinstall {package}"
        )
    text = f"could not be checked: {type(error).__name__}: {one_line(error)}"
    return Finding(about, Verdict.PROBLEM, text, "report it, with what 'framehook doctor --json' prints")
