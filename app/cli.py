"""The way in. Nothing slow is imported before `main` runs, so that Ctrl-C in the first moments ends quietly, too."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended before it was done, as shells count it: 128 and the number of the signal."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 when all went well, 1 when a run failed, 2 for wrong use, 130 after Ctrl-C.

    Args:
        arguments: What was typed after the program's name; None for `sys.argv`.
    """
    try:
        from framehook.app.streams import flush, guard_streams

        code = guard_streams() or run(list(sys.argv[1:] if arguments is None else arguments)) or flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """As `main`, but return the exit code."""
    try:
        import typer

        from framehook.app.messages import quieten_libraries, report, wants_debug

        debug = wants_debug(arguments)
        quieten_libraries(debug=debug)
        try:
            from framehook.app.commands import app

            code = typer.main.get_command(app)(arguments, prog_name="framehook", standalone_mode=False)
        except typer.Abort:
            return INTERRUPTED
        except Exception as error:  # noqa: BLE001  # the last place where one can be told to a person
            # A module written in C that Ctrl-C meets while it is imported tells of it in this way.
            if isinstance(error, ImportError) and isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
                return INTERRUPTED
            return report(error, debug=debug)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code if isinstance(code, int) else 0
