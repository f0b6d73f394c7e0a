"""Making a finished MP4 ready for fast start: an ordinary file with its index in front, of the same packets."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import av

from framehook.inference.errors import RecordingError

# What the system or the file system answers where it knows no files without a name.
_NO_NAMELESS: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


def make_fast_start(path: Path, *, kind: str, packets: int) -> None:
    """Turn a fragmented MP4 into an ordinary one that begins with its index, packet by packet, times and durations kept.

    It is written beside the file and then put in its place, so that at any moment the name stands for a whole recording,
    whatever happens. It takes as much space again for as long as it lasts. On Linux the new file has no name while it is
    written, so that nothing is left behind even where the process is killed.

    Args:
        path: The file. A link to one stays a link.
        kind: FFmpeg's name for the kind of file: mp4, mov, ipod.
        packets: How many there are; with fewer it would not take the place of the file.

    Raises:
        OSError, ValueError, av.error.FFmpegError: it cannot be written; the file is as it was.
        RecordingError: it cannot be read to its end; the file is as it was.
    """
    path = path.resolve()
    if not path.is_file():
        return  # a pipe, a device
    with _written_beside(path) as fresh:
        found = _copy(path, fresh, kind)
        if found != packets:
            raise RecordingError(f"{found} of {packets} packets can be read")


def _copy(path: Path, fresh: str, kind: str) -> int:
    found = 0
    with (
        av.open(f"file:{path}") as old,
        av.open(f"file:{fresh}", "w", format=kind, options={"movflags": "+faststart"}) as new,
    ):
        stream = old.streams.video[0]
        copied = new.add_stream_from_template(stream)
        copied.time_base = stream.time_base
        for packet in old.demux(stream):
            if packet.dts is None:
                continue  # the mark at the end
            packet.stream = copied
            new.mux(packet)
            found += 1
    return found


@contextmanager
def _written_beside(path: Path) -> Iterator[str]:
    """Give the name under which to write what takes the place of a file once all went well."""
    name = path.with_name(f".{path.name}.part")
    file = _open_nameless(path.parent)
    try:
        fresh = str(name) if file is None else f"/proc/self/fd/{file}"
        yield fresh
        mode = path.stat().st_mode & 0o777  # and proof that it is still there
        written = os.open(fresh, os.O_RDWR)
        try:
            os.fsync(written)  # else a power cut right after the renaming leaves an empty file
        finally:
            os.close(written)
        if file is not None:
            name.unlink(missing_ok=True)
            # Naming a directory makes Python follow the link in /proc; it is not looked at, as the path is absolute.
            os.link(fresh, name, src_dir_fd=file)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            name.unlink()
        raise
    finally:
        if file is not None:
            os.close(file)


def _open_nameless(folder: Path) -> int | None:
    """Open a file that has no name, or None where that is not known."""
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as error:
        if error.errno in _NO_NAMELESS:
            return None
        raise
