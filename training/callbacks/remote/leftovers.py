"""Sends what a training left that is over: its server was away, or its process was killed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from framehook.inference.errors import OptionError, TrainingError
from framehook.training.callbacks.remote.lock import FolderLock
from framehook.training.callbacks.remote.queue import DiskQueue
from framehook.training.callbacks.remote.server import Server
from framehook.training.callbacks.remote.session import FOLDER
from framehook.training.callbacks.remote.tracked_run import Session, TrackedRun
from framehook.training.callbacks.remote.uploader import Uploader


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it.

    Attributes:
        sent: Entries that were delivered: the figures of an epoch are one, a file is one.
        left: Entries that still wait.
        refused: Entries that the server will not have.
        host: The server's host and port.
    """

    sent: int
    left: int
    refused: int
    host: str


def send_left(save_dir: str | Path, *, url: str | None = None, wait: float = 60.0, timeout: float = 10.0) -> Sent:
    """Send what waits in the folder of a training that is over.

    Args:
        save_dir: The training's folder.
        url: Where to; None for $MLFLOW_TRACKING_URI, which may hold credentials, if it names the same server, else the server
            the session was begun on. Credentials are taken from the environment, too; see `RemoteSession`.
        wait: Seconds to go on for at most.
        timeout: Seconds without a sign of the server after which a request is given up, to be made again.

    Raises:
        OptionError: there is no session in the folder, or the address is none.
        TrainingError: a process is sending from the folder: the training still goes on.
    """
    folder = Path(save_dir).expanduser() / FOLDER
    session = Session.read(folder)
    if session is None:
        raise OptionError(f"'{save_dir}' is no folder of a training with a remote session; pass one, such as runs/train")
    server = Server(_address(session, url), timeout=timeout)
    lock = FolderLock(folder)
    if not lock.take():
        raise TrainingError(f"the training of {save_dir} still goes on, and sends what waits there itself")
    try:
        queue = DiskQueue(folder, limit=1 << 62)
        uploader = Uploader(queue, TrackedRun(server, session, folder), server, spacing=0.0, about=str(folder))
        uploader.start()
        try:
            uploader.drain(wait)
        finally:
            uploader.close()
        return Sent(uploader.sent, len(queue), queue.refused, server.host)
    finally:
        lock.release()


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
