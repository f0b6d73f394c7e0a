"""`python -m framehook.app`: the desktop app."""

import sys

from framehook.app.cli import main

if __name__ == "__main__":
    main(["gui", *sys.argv[1:]])
