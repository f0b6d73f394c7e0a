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
_LONGEST_ADDRESS: Final = 8000
_LONGEST_SHOWN: Final = 200
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
        url: An https address, or an http one of this machine, without user name and password; redirections are followed to
            the like of these alone, and from https to nothing else.
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


class OtherFileError(DownloadError):
    """What has arrived is not the file whose checksum is known."""


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
        total: Bytes of that version, where the server told them.
    """

    def __init__(self, target: Path, url: str, *, checked: bool) -> None:
        """Take up what an earlier attempt has left on its way to `target`."""
        self._target = target
        self._url = url
        self.checked = checked
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")
        self.validator: str | None = None
        self.total: int | None = None
        with suppress(OSError, ValueError):
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            if isinstance(notes, dict) and notes.get("url") == url:
                self.validator = _as_validator(notes.get("validator"))
                self.total = total if type(total := notes.get("total")) is int else None
        if not (self.validator or checked):
            self.drop()

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def note(self, validator: str | None, total: int | None) -> None:
        """Remember which version of the file this is a part of."""
        self.validator, self.total = validator, total
        notes = {"url": self._url, "validator": validator, "total": total}
        self._notes.write_text(json.dumps(notes), encoding="utf-8")

    def check(self, sha256: str | None) -> str:
        """Return the checksum of what has arrived; if it is not the expected one, remove it and raise an error."""
        found = sha256_of(self.path)
        if sha256 is not None and found != sha256:
            self.refuse(f"has the sha256 {found}, not {sha256} as expected", OtherFileError)
        return found

    def finish(self) -> None:
        """Put the file in its place."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self._target)
        self._notes.unlink(missing_ok=True)

    def refuse(self, why: str, kind: type[DownloadError] = DownloadError) -> NoReturn:
        """Remove what has arrived, because it is of no use, and raise an error that says why."""
        self.drop()
        raise kind(f"what {_shown(self._url)} gives {why}; it was removed. Run it again; if it stays so, do not use the file")

    def drop(self) -> None:
        """Begin anew."""
        self.validator = self.total = None
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
        if _header(answer, "Content-Encoding").lower() not in ("", "identity"):
            part.refuse("is packed for the way, which nobody asked for, so that it is not the file itself")
        total = _total(answer, start)
        bound = most if size is None else size
        if total is not None and (total > bound or (size is not None and total != size)):
            part.refuse(f"is {total:,} bytes long, not {'' if size is not None else 'at most '}{bound:,} as expected")
        _check_space(part.path.parent, (total or size or 0) - start)
        if start == 0:
            part.note(_validator(answer), total)
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
    if not done:
        part.refuse("is empty")


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
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and part.size:
            part.drop()  # there is more of it here than there
            return _answer(part, url, timeout)
        raise DownloadError(f"{_shown(url)} cannot be had: {_host(url)} {_refusal(error.code)}") from error
    except urllib.error.URLError as error:
        raise DownloadError(f"{_host(url)} cannot be reached: {_why(error.reason)}") from error
    except TimeoutError as error:
        raise DownloadError(f"{_host(url)} does not answer within {timeout:g} s; try again later") from error
    except DownloadError:
        raise
    except (ValueError, http.client.InvalidURL):  # its text, and that of what raised it, may quote a whole address
        raise DownloadError(f"{_shown(url)} cannot be had: it, or where it sends to, is no address that can be asked") from None
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{_host(url)} cannot be reached: {_why(error)}") from error
    if part.size and answer.status == http.client.PARTIAL_CONTENT and _is_of_another_version(answer, part):
        answer.close()
        part.drop()
        return _answer(part, url, timeout)
    return answer


def _start_of(answer: Any, part: _Part) -> int:
    """Where in the file the answer begins: where the part ends, or at 0, if the server knows nothing of ranges."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    given = re.match(r"bytes (\d{1,18})-", _header(answer, "Content-Range"), re.ASCII)
    if given is None or int(given[1]) != part.size:
        part.refuse("is not the rest that was asked for")
    return part.size


def _total(answer: Any, start: int) -> int | None:
    """Bytes of the whole file, of which the answer begins at `start`; None where that is not told, or no number."""
    length = _header(answer, "Content-Length")
    return start + int(length) if re.fullmatch(r"\d{1,19}", length, re.ASCII) else None


def _is_of_another_version(answer: Any, part: _Part) -> bool:
    """Whether the rest that a server gives does not belong to the part, though it was asked to tell the versions apart."""
    validator, total = _validator(answer), _total(answer, part.size)
    return (part.validator is not None and validator not in (None, part.validator)) or (
        part.total is not None and total not in (None, part.total)
    )


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
    tag = _as_validator(_header(answer, "ETag"))
    return tag if tag and not tag.startswith("W/") else _as_validator(_header(answer, "Last-Modified"))


def _as_validator(value: object) -> str | None:
    """What can be sent back in a header; None for what cannot, as it is damaged or forged."""
    return value if isinstance(value, str) and re.fullmatch(r"[ -~]{1,1000}", value) else None


def _header(answer: Any, name: str) -> str:
    """A header's value, or an empty text; letters that no header may have make it another kind of object."""
    return str(answer.headers.get(name, ""))


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
    if isinstance(reason, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return "the connection was closed too early"
    if isinstance(reason, http.client.HTTPException):
        return f"what it answers is no HTTP ({type(reason).__name__})"
    return _printable(one_line(getattr(reason, "strerror", None) or reason))


def _refusal(code: int) -> str:
    """What an answer that brings no file says, in our words: those of the server may be anything."""
    if 300 <= code < 400:
        return f"answers {code}, and sends on and on, or to where files are not downloaded from"
    return f"answers {code} {http.client.responses.get(code, '')}".rstrip()


def _host(url: str) -> str:
    return _printable(urlsplit(redacted(url)).netloc)


def _shown(url: str) -> str:
    """An address, without its secrets and without what a terminal would act on."""
    return _printable(redacted(url))


def _printable(text: str) -> str:
    shown = "".join(each if each.isprintable() else "?" for each in text[:_LONGEST_SHOWN])
    return shown if len(text) <= _LONGEST_SHOWN else f"{shown} ..."


def _refuse_unsafe(url: str, *, sent_by: str | None = None) -> None:
    """Raise an error unless the address is https, or http on this machine, where nobody listens in.

    Args:
        url: An address.
        sent_by: The one that redirects to it; from an https one, only https is followed.
    """
    if len(url) > _LONGEST_ADDRESS:
        raise DownloadError(f"an address of {len(url):,} characters is too long; {_LONGEST_ADDRESS:,} at most are asked")
    try:
        parts = urlsplit(url)
        named, host, _ = "@" in parts.netloc, parts.hostname, parts.port
    except ValueError:  # its text quotes what may be a password
        raise DownloadError(f"{_shown(url)} is no address; pass one such as https://host/net.onnx") from None
    at_home = parts.scheme == "http" and host in _AT_HOME and not (sent_by or "").lower().startswith("https:")
    if parts.scheme != "https" and not at_home:
        raise DownloadError(f"{_shown(url)} is no https address; files are not downloaded from others")
    if named:
        raise DownloadError(
            f"the address of {_shown(url)} has a user name or password in it, which is not sent; leave that out"
        )
    if not host:
        raise DownloadError(f"{_shown(url)} names no server; pass an address such as https://host/net.onnx")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but to no place where somebody could put another file in."""

    def http_error_302(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except BaseException:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _refuse_unsafe(newurl, sent_by=req.full_url)
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
        except (BlockingIOError, PermissionError) as error:  # the latter is how Windows says it
            raise DownloadError(
                f"{_shown(url)} is being downloaded to {target.parent} already; wait until that is done"
            ) from error
        yield


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
