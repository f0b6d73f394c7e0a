"""`python -m framehook` is the same as `framehook`."""

from framehook.app.cli import main

if __name__ == "__main__":
    main()
