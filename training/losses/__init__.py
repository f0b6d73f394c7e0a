"""Losses, and which cell is to learn which object."""
