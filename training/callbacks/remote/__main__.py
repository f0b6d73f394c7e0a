"""Send what trainings left: `python -m framehook.training.callbacks.remote runs/train`."""

from __future__ import annotations

import argparse
import logging
import sys

import typer

from framehook.inference.errors import FramehookError
from framehook.training.callbacks.remote.leftovers import send_left


def main() -> int:
    """Send what the folders hold that the command line names; 1 where something is left, 2 for wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m framehook.training.callbacks.remote",
        description="Send what trainings with a remote session could not send to their MLflow server.",
    )
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="folder of a training, such as runs/train")
    parser.add_argument("--url", help="address of the server; left out, that of the session")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to go on for at most, each (60)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    code = 0
    for folder in args.folders:
        try:
            sent = send_left(folder, url=args.url, wait=args.wait)
        except FramehookError as error:
            typer.echo(f"error: {error}", err=True)
            code = max(code, 2 if error.wrong_use else 1)
            continue
        left = f", {sent.left} left" if sent.left else ""
        refused = f", {sent.refused} refused" if sent.refused else ""
        typer.echo(f"{folder}: {sent.sent} sent to {sent.host}{left}{refused}")
        code = max(code, int(bool(sent.left)))
    return code


if __name__ == "__main__":
    sys.exit(main())
