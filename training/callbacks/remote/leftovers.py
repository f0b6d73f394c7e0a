"""Sends what a training left that is over: its server was away, or its process was killed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from framehook.inference.errors import OptionError, TrainingError
from framehook.inference.ranges import is_number
from framehook.training.callbacks.remote.lock import FolderLock
from framehook.training.callbacks.remote.queue import DiskQueue
from framehook.training.callbacks.remote.server import LONGEST, Server
from framehook.training.callbacks.remote.session import FOLDER
from framehook.training.callbacks.remote.tracked_run import Session, TrackedRun
from framehook.training.callbacks.remote.uploader import Uploader


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it.

    Attributes:
        sent: Entries that were delivered: the figures of an epoch are one, a file is one.
        left: Entries that still wait.
        refused: Entries that could not be sent and never will.
        host: The server's host and port; of several servers all of them.
    """

    sent: int
    left: int
    refused: int
    host: str


def send_left(save_dir: str | Path, *, url: str | None = None, wait: float = 60.0, timeout: float = 10.0) -> Sent:
    """Send what waits in the folder of a training that is over, and of those in it before, each to its own run.

    Args:
        save_dir: The training's folder.
        url: Where to; None for $MLFLOW_TRACKING_URI, which may hold credentials, if it names the same server, else the server
            the session was begun on. Credentials are taken from the environment, too; see `RemoteSession`.
        wait: Seconds to go on for at most.
        timeout: Seconds without a sign of the server after which a request is given up, to be made again.

    Raises:
        OptionError: there is no session in the folder, the address is none, or a number is not possible.
        TrainingError: a process is sending from the folder: the training still goes on.
    """
    if not is_number(wait, 0, LONGEST):
        raise OptionError(f"wait={wait!r} is not possible; pass seconds from 0 to {LONGEST:g}")
    sessions = Session.all_of(Path(save_dir).expanduser() / FOLDER)
    if not sessions:
        raise OptionError(f"'{save_dir}' is no folder of a training with a remote session; pass one, such as runs/train")
    servers = [Server(_address(session, url), timeout=timeout) for _, session in sessions]
    deadline = time.monotonic() + wait
    sent = left = refused = 0
    for (folder, session), server in zip(sessions, servers, strict=True):
        lock = FolderLock(folder)
        if not lock.take():
            raise TrainingError(f"the training of {save_dir} still goes on, and sends what waits there itself")
        try:
            queue = DiskQueue(folder, limit=1 << 62)
            uploader = Uploader(queue, TrackedRun(server, session, folder), server, spacing=0.0, about=str(folder))
            uploader.start()
            try:
                uploader.drain(max(deadline - time.monotonic(), 0))
            finally:
                uploader.close()
            sent, left, refused = sent + uploader.sent, left + len(queue), refused + queue.refused
        finally:
            lock.release()
    return Sent(sent, left, refused, ", ".join(dict.fromkeys(each.host for each in servers)))


def _address(session: Session, url: str | None) -> str:
    if url is not None:
        return url
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    return named if named and _same(named, session.url) else session.url


def _same(url: str, other: str) -> bool:
    try:
        return Server(url, timeout=1).url == other
    except OptionError:
        return False
