"""A file from a web server onto the disk: resumed where it was cut, checked, and put in its place only when it is right."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, NoReturn
from urllib.parse import urlsplit

from framehook._version import __version__
from framehook.inference.errors import DownloadError, one_line
from framehook.inference.sources.addresses import redacted

Progress = Callable[[int, int | None], None]
"""Is told the bytes that are there, those of an earlier attempt included, and how many it will be, where that is known."""

MOST: Final = 2**30
"""Bytes of a file at most, where its size was not announced."""
TIMEOUT: Final = 30.0
"""Seconds without an answer, or without another byte of it, after which a server is given up on."""
ATTEMPTS: Final = 4
"""Connections that are made for one file, as long as each brings it further."""

_CHUNK: Final = 1 << 18
_AT_HOME: Final = ("localhost", "127.0.0.1", "::1")


def fetch(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    most: int = MOST,
    timeout: float = TIMEOUT,
    progress: Progress | None = None,
) -> str:
    """Download `url` to `target`, which is replaced at once, or not at all.

    What has arrived lies in `target.part` until it is whole and checked. It stays there when the connection is cut, the network
    goes away or the program is interrupted, and the next call goes on from there, unless the file has changed on the server.
    Proxies are taken from the environment, as `urllib.request` does it.

    Args:
        url: An https address, or an http one of this machine; redirections are followed to the like of these alone.
        target: Where to; its folder is made.
        size: Bytes it must have, if that is known.
        sha256: Its checksum in lower-case hexadecimals, if that is known.
        most: Bytes it may have where `size` is None.
        timeout: Seconds of silence that are put up with.
        progress: Called as bytes arrive.

    Returns:
        Its SHA-256, in lower-case hexadecimals.

    Raises:
        DownloadError: it cannot be had, is not what was announced, or cannot be stored; or is being fetched already.
    """
    _refuse_unsafe(url)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target, url):
            part = _Part(target, url, checked=sha256 is not None)
            _fill(part, url, size=size, most=most, timeout=timeout, progress=progress)
            found = part.check(sha256)
            part.finish()
    except DownloadError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DownloadError(f"the disk of {target.parent} is full; free some space and run it again") from error
        raise DownloadError(f"{target} cannot be written: {one_line(error.strerror or error)}") from error
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in lower-case hexadecimals."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Part:
    """What has arrived of a file, and what tells whether the rest on the server still belongs to it.

    Attributes:
        path: The part file.
        checked: Whether a checksum is known, so that parts of two different files would be noticed.
        validator: What the server calls the version of the file that this is a part of.
    """

    def __init__(self, target: Path, url: str, *, checked: bool) -> None:
        """Take up what an earlier attempt has left on its way to `target`."""
        self._target = target
        self._url = url
        self.checked = checked
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")
        self.validator: str | None = None
        with suppress(OSError, ValueError):
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            if isinstance(notes, dict) and notes.get("url") == url:
                self.validator = notes.get("validator")
        if not (self.validator or checked):
            self.drop()

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def note(self, validator: str | None) -> None:
        """Remember which version of the file this is a part of."""
        self.validator = validator
        self._notes.write_text(json.dumps({"url": self._url, "validator": validator}), encoding="utf-8")

    def check(self, sha256: str | None) -> str:
        """Return the checksum of what has arrived; if it is not the expected one, remove it and raise an error."""
        found = sha256_of(self.path)
        if sha256 is not None and found != sha256:
            self.refuse(f"has the sha256 {found}, not {sha256} as expected")
        return found

    def finish(self) -> None:
        """Put the file in its place."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self._target)
        self._notes.unlink(missing_ok=True)

    def refuse(self, why: str) -> NoReturn:
        """Remove what has arrived, because it is of no use, and raise an error that says why."""
        self.drop()
        raise DownloadError(
            f"what {redacted(self._url)} gives {why}; it was removed. Run it again; if it stays so, do not use the file"
        )

    def drop(self) -> None:
        """Begin anew."""
        self.validator = None
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)


class _CutError(Exception):
    """The connection broke off in the middle; its text says how far it got."""


def _fill(part: _Part, url: str, *, size: int | None, most: int, timeout: float, progress: Progress | None) -> None:
    """Connect until the file is whole, as long as each connection brings some of it."""
    for attempt in range(1, ATTEMPTS + 1):
        before = part.size
        if size is not None and before == size:
            return  # only the check was not reached
        try:
            _take(part, url, size=size, most=most, timeout=timeout, progress=progress)
        except _CutError as error:
            if attempt == ATTEMPTS or part.size <= before:
                raise DownloadError(f"{error}; what has arrived is kept, run it again to go on from there") from error
        else:
            return


def _take(part: _Part, url: str, *, size: int | None, most: int, timeout: float, progress: Progress | None) -> None:
    """Read one answer into the part file.

    Raises:
        _CutError: it ended too early.
        DownloadError: there is no use in asking again.
    """
    with _answer(part, url, timeout) as answer:
        start = _start_of(answer, part)
        if answer.headers.get_content_type() == "text/html":
            raise DownloadError(
                f"{_host(answer.url)} answers with a web page, not with a file (does this network want a login?)"
            )
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length is not None and length.isdigit() else None
        bound = most if size is None else size
        if total is not None and (total > bound or (size is not None and total != size)):
            part.refuse(f"is {total:,} bytes long, not {'' if size is not None else 'at most '}{bound:,} as expected")
        _check_space(part.path.parent, (total or size or 0) - start)
        if start == 0:
            part.note(_validator(answer))
        known = total if total is not None else size
        if known is None and not answer.chunked and not part.checked:
            part.refuse("does not say how long it is, so that nobody could tell whether all of it has arrived")
        with part.path.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            done = start
            if progress is not None:
                progress(done, known)
            for chunk in _chunks(answer, url):
                done += len(chunk)
                if done > bound:
                    break
                file.write(chunk)
                if progress is not None:
                    progress(done, known)
    if done > bound:
        part.refuse(f"does not end after {bound:,} bytes as expected")
    if known is not None and done < known:
        raise _CutError(f"{_host(url)} broke off after {done:,} of {known:,} bytes")


def _answer(part: _Part, url: str, timeout: float) -> Any:
    """Ask for what is missing of the file, or for all of it.

    Raises:
        DownloadError: there is no answer, or none that helps.
    """
    headers = {"User-Agent": f"framehook/{__version__}"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    opener = urllib.request.build_opener(_SafeRedirects())
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and part.size:
            part.drop()  # there is more of it here than there
            return _answer(part, url, timeout)
        raise DownloadError(f"{redacted(url)} cannot be had: {_host(url)} answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise DownloadError(f"{_host(url)} cannot be reached: {_why(error.reason)}") from error
    except TimeoutError as error:
        raise DownloadError(f"{_host(url)} does not answer within {timeout:g} s; try again later") from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{_host(url)} cannot be reached: {_why(error)}") from error


def _start_of(answer: Any, part: _Part) -> int:
    """Where in the file the answer begins: where the part ends, or at 0, if the server knows nothing of ranges."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    given = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if given is None or int(given[1]) != part.size:
        part.refuse("is not the rest that was asked for")
    return part.size


def _chunks(answer: Any, url: str) -> Iterator[bytes]:
    """What arrives, as it arrives.

    Raises:
        _CutError: nothing more does.
    """
    try:
        while chunk := answer.read1(_CHUNK):
            yield chunk
    except TimeoutError as error:
        raise _CutError(f"{_host(url)} sends nothing any more") from error
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(f"{_host(url)} broke off: {_why(error)}") from error


def _validator(answer: Any) -> str | None:
    """What tells one version of a file from another, byte by byte; a weak ETag does not."""
    tag: str | None = answer.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(f"{needed:,} bytes do not fit into {folder}, where {free:,} are free; free some space")


def _why(reason: object) -> str:
    """What kept a connection from being made, and what to do about it, in a few words."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate cannot be verified ({reason.verify_message}); check the clock and the proxy of this computer"
    if isinstance(reason, ConnectionRefusedError):
        return "the connection is refused"
    if isinstance(reason, TimeoutError):
        return "it does not answer (is there a network?)"
    if isinstance(reason, socket.gaierror):
        return "its name cannot be looked up (is there a network?)"
    return one_line(getattr(reason, "strerror", None) or reason)


def _host(url: str) -> str:
    return urlsplit(redacted(url)).netloc


def _refuse_unsafe(url: str) -> None:
    """Raise an error unless the address is https, or http on this machine, where nobody listens in."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _AT_HOME):
        raise DownloadError(f"{redacted(url)} is no https address; files are not downloaded from others")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but to no place where somebody could put another file in."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _refuse_unsafe(newurl)
        except DownloadError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _alone(target: Path, url: str) -> Iterator[None]:
    """Hold the lock of a file, so that two programs do not write into the same part.

    The operating system lets go of it when a program dies. The lock's file stays: if it were removed, somebody might just have
    opened it, and hold a lock that nobody else can see.
    """
    with target.with_name(f"{target.name}.lock").open("a+b") as file:
        try:
            _lock(file)
        except OSError as error:
            raise DownloadError(
                f"{redacted(url)} is being downloaded to {target.parent} already; wait until that is done"
            ) from error
        yield


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
