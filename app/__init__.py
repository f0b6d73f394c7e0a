"""The command line and the desktop app."""
