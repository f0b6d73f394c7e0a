"""Network addresses: which ones can be opened, what they name, and how to show them without their secrets."""

from __future__ import annotations

import re

SCHEMES = frozenset(("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "rtp", "srt", "tcp", "udp"))
# What ends in these is a file, whether or not the server tells how long it is.
_FILE_SUFFIXES = frozenset(
    (".avi", ".bmp", ".gif", ".jpeg", ".jpg", ".m4v", ".mkv", ".mov", ".mp4", ".png", ".tif", ".tiff", ".webm", ".webp")
)
_NAME = r"([^=&;?/#\s]*(?:pass|pwd|psw|pw|token|key|secret|auth|jwt|sig|cred|session|sid|streamid|user|usr|login)[^=&;?/#\s]*=)"
# In a query only `&` ends a value: passwords in it are seldom escaped.
_SECRET_IN_PATH = re.compile(_NAME + r"[^&/]*", re.IGNORECASE)
_SECRET_IN_QUERY = re.compile(_NAME + r"[^&]*", re.IGNORECASE)
# The credentials of an address within an address (`?src=rtsp://me:secret@cam`), escaped or not.
_INNER = re.compile(r"((?::|%3A)(?:/|%2F){2})[^&\s]*(?:@|%40)", re.IGNORECASE)
_WEB = ("http", "https")


def redacted(url: str) -> str:
    """Return the URL without user name and password, and with `***` for parameters that look like secrets.

    Parameters are looked for in the path, too: some cameras want `/user=admin&password=...` there. Where it is not clear how
    far a password goes, as it has a slash in it, rather too much is left out. A text that is no URL is returned as it is.
    """
    scheme, mark, _ = url.partition("://")
    if not mark:
        return url
    host, tail = _host_and_tail(url)
    return f"{scheme}://{host}{_without_parameters(tail)}"


def short_name(url: str) -> str:
    """Return host and path of a URL, without credentials and parameters: `camera.local:554/live`; of a path, its last part."""
    bare = redacted(url).partition("://")[2]
    if not bare:
        return re.split(r"[/\\]", url)[-1] or url
    return re.split(r"[?#]", bare, maxsplit=1)[0].rstrip("/") or bare or url


def path_of(url: str) -> str:
    """Return the path of a URL, or a text that is no URL as it is.

    `urllib` does not do: it refuses brackets and some letters in passwords, and its errors show them.
    """
    return re.split(r"[?#]", _host_and_tail(url)[1], maxsplit=1)[0] if "://" in url else url


def scheme_of(text: str) -> str:
    """Return the lower-case scheme of a URL, or an empty string for what is none (`C:/clip.mp4`)."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    return match[1].lower() if match else ""


def slip_of_address(text: str) -> str | None:
    """Return what may be shown of a text that looks like an address with a slip, such as `rtsp:/me:secret@cam`; else None.

    It is for texts that are no URL and name no file: that there is no such file could not be told without showing a password.
    """
    text = re.sub(r"^[A-Za-z]:(?=[/\\])", "", text)  # the drive of a Windows path
    if re.search(r":.*@", text) or (":" in text and _SECRET_IN_PATH.search(text)):
        return _without_parameters(text.rpartition("@")[2])
    return None


def names_file(url: str) -> bool:
    """Tell whether a web address ends like that of an image or video file."""
    last = path_of(url).rpartition("/")[2]
    return scheme_of(url) in _WEB and last[last.rfind(".") :].lower() in _FILE_SUFFIXES


def _host_and_tail(url: str) -> tuple[str, str]:
    """Cut a URL into host, with port, and what follows; its credentials are in neither."""
    scheme, _, rest = url.partition("://")
    end = min((rest.find(cut) for cut in "/?#" if cut in rest), default=len(rest))
    host, tail = rest[:end], rest[end:]
    if scheme.lower() == "file":
        return host, tail
    if scheme.lower() in _WEB:
        tail = _INNER.sub(r"\1", tail)
        if "@" in host:
            return host.rpartition("@")[2], tail
        if not _has_password(host, tail):
            return host, tail
        rest = tail
    elif "@" not in rest:
        return host, tail
    # An unescaped `/`, `?` or `#` of a password is no end of the host.
    rest = rest.rpartition("@")[2]
    end = min((rest.find(cut) for cut in "/?#" if cut in rest), default=len(rest))
    return rest[:end], rest[end:]


def _has_password(host: str, tail: str) -> bool:
    """Whether what was taken for the host of a web address is the beginning of its credentials.

    Web addresses have an `@` in other places, too (`http://host:8080/@someone`).
    """
    before, mark, after = tail.rpartition("@")
    if not mark:
        return False
    if not re.fullmatch(r"[^:]*(:\d*)?|\[.*\](:\d*)?", host):
        return True  # what stands where a port belongs is no number
    named = re.fullmatch(r"(?!localhost:|[\d.]+:)[^:\[\]]+:\d+", host)
    return bool(named and before[1:] and re.match(r"[\w-]+(\.[\w-]+)*(:\d+)?([/?#]|$)|\[[\da-fA-F:.]+\]", after))


def _without_parameters(tail: str) -> str:
    path, mark, query = tail.partition("?")
    return _SECRET_IN_PATH.sub(r"\1***", path) + mark + _SECRET_IN_QUERY.sub(r"\1***", query)
