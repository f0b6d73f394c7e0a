"""The part of MLflow's REST interface that a remote session needs, spoken so that it can be broken off at any time.

MLflow's own client would do, but for three things: it waits and retries for many minutes unless variables of the whole process
say otherwise, it cannot be interrupted, and importing it takes over a second. The interface is that of
mlflow.org/docs/latest/rest-api.html.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import io
import json
import math
import os
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar
from urllib.parse import quote, unquote, urlsplit

from framehook._version import __version__
from framehook.inference.errors import OptionError, one_line
from framehook.inference.ranges import is_number
from framehook.inference.sources.addresses import redacted, short_name, slip_of_address

PartT = TypeVar("PartT")

CHUNK: Final = 1 << 16
"""Bytes of a file that are sent at a time; each has the time-out to itself, so that a slow line is no silent one."""
UPLOAD_TIMEOUT: Final = 300.0
"""Seconds for the answer to a file: much of it may still be on its way then, and the server may have to pass it on."""
LONGEST: Final = 86_400.0
"""Seconds of the longest time-out, and of the longest wait."""
WHOLE_ANSWER: Final = 3.0
"""Time-outs that an answer may take from its first byte to its last: one that trickles in shows signs of a server for ever."""
MOST_ANSWER: Final = 8 << 20
API: Final = "/api/2.0/mlflow/"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts/"
LONGEST_TEXT: Final = 500
"""Letters of a parameter or tag; older servers take no more."""
STRANGER: Final = "what answers is no MLflow server"
_LATER: Final = (401, 403, 404, 407, 408, 425, 429)
"""Refusals that are of the moment, or of the credentials, and not of what was sent."""


class UnreachableError(Exception):
    """The server could not be asked, or could not answer; what was to be sent may be sent later."""


class RefusedError(Exception):
    """The server will never have what was sent."""


class UnknownError(Exception):
    """The server knows no such run or experiment."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run on the server.

    Attributes:
        id: Its number there.
        experiment: That of its experiment.
        artifacts: Address of the folder of its files.
    """

    id: str
    experiment: str
    artifacts: str


class Server:
    """An MLflow tracking server.

    Credentials come from the address (`https://me:secret@host`) or from the variables MLflow has for them:
    MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN. They are in no message.
    MLFLOW_TRACKING_SERVER_CERT_PATH and MLFLOW_TRACKING_INSECURE_TLS are heeded, and so are proxies of the environment.

    Attributes:
        url: The address, without credentials.
        host: Host and port, for messages.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        """Prepare to speak with a server; nothing is sent.

        Args:
            url: `http://host:5000` or `https://...`.
            timeout: Seconds without any sign of it after which a request fails; an answer may take three times as long in all.

        Raises:
            OptionError: it is no such address, or no such time.
        """
        if not is_number(timeout, 0.1, LONGEST):
            raise OptionError(f"timeout={timeout!r} is not possible; pass seconds from 0.1 to {LONGEST:g}")
        self.url = redacted(url).rstrip("/")
        if not _is_address(self.url):
            shown = one_line(slip_of_address(url) or redacted(url))
            cut = re.split(r"[?#]", self.url.strip(), maxsplit=1)[0].rstrip("/")  # what a browser shows has more to it
            right = cut if _is_address(cut) else "one like http://host:5000"
            raise OptionError(f"'{shown}' is no address of an MLflow server; pass {right}")
        self.host = short_name(self.url)
        self._timeout = timeout
        self._headers = {"User-Agent": f"framehook/{__version__}", **_authorization(url)}
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._answering: socket.socket | None = None
        self._aborted = False
        self._opener = urllib.request.build_opener(_NoRedirects(), self._handler())

    def abort(self) -> None:
        """Break off the request under way, and every later one; from any thread."""
        with self._lock:
            self._aborted = True
            opened = self._answering or (self._connection.sock if self._connection is not None else None)
            if opened is not None:
                with contextlib.suppress(OSError, ValueError):
                    opened.shutdown(socket.SHUT_RDWR)

    def page_of(self, run: Run) -> str:
        """The address at which people see a run."""
        return f"{self.url}/#/experiments/{run.experiment}/runs/{run.id}"

    def experiment(self, name: str) -> str:
        """The number of an experiment, which is made if there is none of the name.

        Raises:
            UnreachableError, RefusedError: it cannot be had.
        """
        for _ in range(2):  # somebody else may make it in between
            with contextlib.suppress(UnknownError):
                answer = self._ask("GET", f"{API}experiments/get-by-name?experiment_name={quote(name, safe='')}")
                found = _part(answer, "experiment", dict)
                if found.get("lifecycle_stage", "active") != "active":
                    raise UnreachableError(f"its experiment '{name}' was deleted; restore it or name another")
                return _part(found, "experiment_id", str)
            with contextlib.suppress(RefusedError):
                return _part(self._ask("POST", f"{API}experiments/create", {"name": name}), "experiment_id", str)
        raise UnreachableError(f"its experiment '{name}' can be neither found nor made")

    def find(self, experiment: str, tag: str, value: str) -> Run | None:
        """The run that carries a tag, or None."""
        wanted = {"experiment_ids": [experiment], "filter": f"tags.`{tag}` = '{value}'", "max_results": 1}
        answer = self._ask("POST", f"{API}runs/search", wanted)
        found = _part(answer, "runs", list) if answer else []
        return _run({"run": found[0]}) if found else None

    def get(self, run: str) -> Run:
        """A run by its number.

        Raises:
            UnknownError: there is none.
        """
        return _run(self._ask("GET", f"{API}runs/get?run_id={quote(run, safe='')}"))

    def create(self, experiment: str, *, name: str, tags: Mapping[str, str], start: int) -> Run:
        """Make a run that began at `start`, in milliseconds since 1970."""
        said = {"experiment_id": experiment, "run_name": name, "start_time": start, "tags": _texts(tags)}
        return _run(self._ask("POST", f"{API}runs/create", said))

    def log(
        self, run: str, *, metrics: Sequence[Mapping[str, Any]] = (), params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Write figures to a run; writing them twice does nothing more."""
        said = {
            "run_id": run,
            "metrics": [{**each, "value": _number(each["value"])} for each in metrics],
            "params": _texts(params),
            "tags": _texts(tags),
        }
        self._ask("POST", f"{API}runs/log-batch", said)

    def set_tag(self, run: str, key: str, value: str) -> None:
        """Set one tag of a run."""
        self._ask("POST", f"{API}runs/set-tag", {"run_id": run, "key": key, "value": value})

    def update(self, run: str, status: str, end: int | None) -> None:
        """Say that a run goes on, or that it ended, and when."""
        self._ask("POST", f"{API}runs/update", {"run_id": run, "status": status, **({} if end is None else {"end_time": end})})

    def upload(self, run: Run, to: str, file: Path) -> None:
        """Send a file; what is there already is replaced.

        Raises:
            OSError: the file cannot be read.
            RefusedError: the server keeps files where they cannot be sent through it.
        """
        scheme, _, folder = run.artifacts.partition(":")
        if scheme != "mlflow-artifacts" or folder.startswith("//"):
            raise RefusedError(f"its files are kept at {scheme}:, which it does not pass on; start it with --serve-artifacts")
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            place = quote(unquote(f"{folder.strip('/')}/{to}"))
            self._ask("PUT", ARTIFACTS + place, body=_Body(opened, self), size=size)
        # A proxy or a server that was stopped may have taken a part of it for the whole.
        beside, _, name = to.rpartition("/")
        query = f"run_id={quote(run.id, safe='')}&path={quote(beside, safe='')}"
        listed = _part({"files": [], **self._ask("GET", f"{API}artifacts/list?{query}")}, "files", list)
        there = {_part(each, "path", str): _part(each, "file_size", int) for each in listed if not _part(each, "is_dir", bool)}
        if there.get(to) != size:
            raise UnreachableError(f"of the {size:,} bytes of {name} it has {there.get(to, 0):,}")

    def _ask(
        self, method: str, path: str, said: Mapping[str, Any] | None = None, *, body: _Body | None = None, size: int = 0
    ) -> dict[str, Any]:
        if self._aborted:
            raise UnreachableError("it is no longer waited for")
        content: Any = body if body is not None else None if said is None else json.dumps(said).encode()
        headers = {**self._headers, "Content-Type": "application/json"}
        if body is not None:
            headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        request = urllib.request.Request(self.url + path, data=content, headers=headers, method=method)
        try:
            timeout = self._timeout if body is None else max(self._timeout, UPLOAD_TIMEOUT)
            with self._opener.open(request, timeout=timeout) as answer:
                text = answer.read(MOST_ANSWER)
        except urllib.error.HTTPError as error:
            with error:
                raise self._complaint(error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:  # texts of the last may quote an address
            raise UnreachableError(_why(error)) from None
        finally:
            with self._lock:
                self._connection = self._answering = None
        if not text and body is not None:
            return {}
        try:
            answered: dict[str, Any] = json.loads(text)
            return dict(answered)
        except (ValueError, TypeError, RecursionError):
            raise UnreachableError(STRANGER) from None

    def _complaint(self, error: urllib.error.HTTPError) -> Exception:
        """What to make of a refusal."""
        said: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError, http.client.HTTPException):
            read = json.loads(error.read(MOST_ANSWER))
            said = read if isinstance(read, dict) else {}
        text = one_line(said.get("message", ""))[:200] or http.client.responses.get(error.code, "")
        if said.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
            return UnknownError(text)
        if error.code in (401, 403, 407):
            return UnreachableError(f"it answers {error.code}: check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
        if 400 <= error.code < 500 and error.code not in _LATER:
            return RefusedError(f"it answers {error.code} ({text})")
        return UnreachableError(f"it answers {error.code} ({text})")

    def _handler(self) -> urllib.request.BaseHandler:
        """What opens connections, and remembers the one under way."""
        if not self.url.startswith("https"):
            return _Plain(functools.partial(self._open, functools.partial(http.client.HTTPConnection, blocksize=CHUNK)))
        named = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None
        try:
            context = ssl.create_default_context(cafile=named)
        except OSError as error:
            raise OptionError(f"MLFLOW_TRACKING_SERVER_CERT_PATH names no certificates: {error.strerror or error}") from None
        if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        make = functools.partial(http.client.HTTPSConnection, context=context, blocksize=CHUNK)
        return _Safe(functools.partial(self._open, make))

    def _open(self, make: Any, host: str, **options: Any) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection = make(host, **options)
        connection.response_class = self._answer  # type: ignore[assignment]  # it is only called
        with self._lock:
            self._connection = connection
        return connection

    def _answer(self, opened: socket.socket, *args: Any, **options: Any) -> http.client.HTTPResponse:
        """What is read from a connection, which `urllib` forgets as soon as the headers are there."""
        with self._lock:
            if self._aborted:
                raise OSError("broken off")
            self._answering = opened
        return _Answer(opened, *args, **options)


class _Answer(http.client.HTTPResponse):
    """An answer that must be there in time as a whole."""

    def __init__(self, opened: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(opened, *args, **options)
        self.fp = io.BufferedReader(_InTime(opened, self.fp.detach()))


class _InTime(io.RawIOBase):
    """Reads from a connection until a deadline."""

    def __init__(self, opened: socket.socket, raw: io.RawIOBase) -> None:
        self._opened = opened
        self._raw = raw
        self._timeout = opened.gettimeout() or LONGEST
        self._deadline = time.monotonic() + self._timeout * WHOLE_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._opened.settimeout(min(left, self._timeout))
        return self._raw.readinto(into)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Body:
    """A file that is read while it is sent, and can be broken off."""

    def __init__(self, file: IO[bytes], server: Server) -> None:
        self._file = file
        self._server = server

    def read(self, size: int = -1) -> bytes:
        if self._server._aborted:
            raise OSError("broken off")
        return self._file.read(size)


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, make: Any) -> None:
        super().__init__()
        self._make = make

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._make, req)


class _Safe(urllib.request.HTTPSHandler):
    def __init__(self, make: Any) -> None:
        super().__init__()
        self._make = make

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._make, req)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the credentials would go along, to whoever is named."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"[?#\s]", url)
    except ValueError:
        return False


def _run(answer: Mapping[str, Any]) -> Run:
    info = _part(_part(answer, "run", dict), "info", dict)
    return Run(*(_part(info, name, str) for name in ("run_id", "experiment_id", "artifact_uri")))


def _part(answer: object, name: str, kind: type[PartT]) -> PartT:
    """A part of an answer.

    Raises:
        UnreachableError: there is no such part, or it is of another kind.
    """
    part = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(part, kind):
        raise UnreachableError(f"{STRANGER}: it tells no {name}")
    return part


def _texts(pairs: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value[:LONGEST_TEXT]} for key, value in pairs.items()]


def _number(value: float) -> float | str:
    """A number as JSON can say it; of what is none MLflow takes the names."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _authorization(url: str) -> dict[str, str]:
    rest, bare = (each.partition("://")[2] for each in (url, redacted(url)))
    given = rest.removesuffix(bare)
    if given != rest and given.endswith("@"):
        user, _, password = (unquote(each) for each in given[:-1].partition(":"))
    else:
        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME", ""), os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    if user or password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _why(error: BaseException) -> str:
    """What kept a request from being answered, in a few words that quote no address."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate cannot be verified ({reason.verify_message})"
    if isinstance(reason, ConnectionRefusedError):
        return "the connection is refused"
    if isinstance(reason, TimeoutError):
        return "it does not answer"
    if isinstance(reason, socket.gaierror):
        return "its name cannot be looked up"
    if isinstance(reason, http.client.RemoteDisconnected | http.client.IncompleteRead | ConnectionError):
        return "the connection was closed"
    return one_line(getattr(reason, "strerror", None) or type(reason).__name__)
