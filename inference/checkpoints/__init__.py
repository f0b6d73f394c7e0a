"""Reads `.pt` checkpoints as data, without torch and without running what is in them."""

from framehook.inference.checkpoints.checkpoint import Checkpoint, Kind
from framehook.inference.checkpoints.own import HEADER_KEY, SCHEMA, Header, own_header, parse_header
from framehook.inference.checkpoints.reader import read_checkpoint

__all__ = ["read_checkpoint", "Checkpoint", "Kind", "Header", "own_header", "parse_header", "HEADER_KEY", "SCHEMA"]
