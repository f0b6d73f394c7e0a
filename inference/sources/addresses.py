"""Network addresses: which ones can be opened, what they name, and how to show them without their secrets."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SCHEMES = frozenset(("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "rtp", "srt", "tcp", "udp"))
# What ends in these is a file, whether or not the server tells how long it is.
_FILE_SUFFIXES = frozenset(
    (".avi", ".bmp", ".gif", ".jpeg", ".jpg", ".m4v", ".mkv", ".mov", ".mp4", ".png", ".tif", ".tiff", ".webm", ".webp")
)
_SECRET = re.compile(
    r"([^=&;?/#]*(?:pass|pwd|token|key|secret|auth|sig|cred|session|sid|user|usr|login)[^=&;?/#]*=)[^&;/#]*", re.IGNORECASE
)


def redacted(url: str) -> str:
    """Return the URL without user name and password, and with `***` for parameters that look like secrets.

    Parameters are looked for in the path, too: some cameras want `/user=admin&password=...` there. A text that is no URL is
    returned as it is.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    end = min((rest.find(cut) for cut in "/?#" if cut in rest), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    if "@" in authority:
        authority = authority.rpartition("@")[2]
    elif "@" in tail and not re.fullmatch(r"[^:]*(:\d*)?|\[.*\](:\d*)?", authority):
        # What stands where a port belongs is no number: a password with an unescaped slash.
        authority, tail = "", tail.rpartition("@")[2]
    return f"{scheme}://{authority}" + _SECRET.sub(r"\1***", tail)


def short_name(url: str) -> str:
    """Return host and path of a URL, without credentials and parameters: `camera.local:554/live`; of a path, its last part."""
    bare = redacted(url).partition("://")[2]
    if not bare:
        return re.split(r"[/\\]", url)[-1] or url
    return re.split(r"[?#]", bare, maxsplit=1)[0].rstrip("/") or bare or url


def scheme_of(text: str) -> str:
    """Return the lower-case scheme of a URL, or an empty string for what is none (`C:/clip.mp4`)."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    return match[1].lower() if match else ""


def slip_of_address(text: str) -> str | None:
    """Return what may be shown of a text that looks like an address with a slip, such as `rtsp:/me:secret@cam`; else None.

    It is for texts that are no URL and name no file: that there is no such file could not be told without showing a password.
    """
    text = re.sub(r"^[A-Za-z]:(?=[/\\])", "", text)  # the drive of a Windows path
    if re.search(r":.*@", text) or (":" in text and _SECRET.search(text)):
        return _SECRET.sub(r"\1***", text.rpartition("@")[2])
    return None


def names_file(url: str) -> bool:
    """Tell whether a web address ends like that of an image or video file."""
    last = urlsplit(url).path.rpartition("/")[2]
    return scheme_of(url) in ("http", "https") and last[last.rfind(".") :].lower() in _FILE_SUFFIXES
