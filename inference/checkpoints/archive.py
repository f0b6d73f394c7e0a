"""The zip archive a checkpoint is, opened with bounds: what it can make its reader hold is limited by its own size."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from framehook.inference.errors import ModelFormatError

MAX_ENTRIES: Final = 50_000
"""Storages and notes. The largest nets, with the state of an optimizer, have about 4,000."""
MAX_PICKLE: Final = 32 * 2**20
"""Bytes of the pickle that describes the tensors. The largest nets, with the state of an optimizer, need 1 MB."""

_MAX_DIRECTORY: Final = 200 * MAX_ENTRIES
_MAX_NOTE: Final = 1000
_LEGACY: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_STORAGE: Final = re.compile(r"data/([0-9]{1,20})", re.ASCII)


class CheckpointArchive:
    """A file that `torch.save` wrote, open for reading.

    Attributes:
        pickle: The pickle in it.
        storages: Bytes of every storage, by key.
        big_endian: The order of the bytes in the storages.

    Raises:
        ModelFormatError: the file is no such archive, is damaged, or would unpack to more than it is.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def storage(self, key: str) -> bytes:
        """The bytes of a storage."""
        return self._read(f"data/{key}")

    def _open(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        _check_start(self._file.read(64), size)
        bounded = _Bounded(self._file, size)
        try:
            self._zip = zipfile.ZipFile(bounded)
        except ModelFormatError:
            raise
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise ModelFormatError("it is cut short or damaged: the archive's directory cannot be read") from error
        bounded.limit = size
        self._entries = _checked_entries(self._zip.infolist(), size)
        if "data.pkl" not in self._entries:
            raise ModelFormatError("it is a zip archive, but not one of torch.save: it holds no data.pkl")
        if "constants.pkl" in self._entries or any(name.startswith("code/") for name in self._entries):
            raise ModelFormatError("it is a TorchScript program, which would have to be run; export the net it was made from")
        if self._entries["data.pkl"].file_size > MAX_PICKLE:
            raise ModelFormatError(f"its pickle is larger than {MAX_PICKLE >> 20} MB, larger than that of any checkpoint")
        self.pickle = self._read("data.pkl")
        order = self._note("byteorder", "little")
        if order not in ("little", "big"):
            raise ModelFormatError(f"its byte order is neither little nor big: {order[:20]!a}")
        self.big_endian = order == "big"
        self.storages = {
            found[1]: entry.file_size for name, entry in self._entries.items() if (found := _STORAGE.fullmatch(name))
        }

    def _note(self, name: str, default: str) -> str:
        if name not in self._entries:
            return default
        if self._entries[name].file_size > _MAX_NOTE:
            raise ModelFormatError(f"its entry {name} is too long")
        return self._read(name).decode("ascii", "replace").strip()

    def _read(self, name: str) -> bytes:
        entry = self._entries[name]
        try:
            return self._zip.read(entry)  # which compares checksums
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError) as error:
            raise ModelFormatError(f"it is damaged: its part {name} cannot be read") from error


class _Bounded:
    """A file whose single reads are bounded: a forged archive's directory would be read whole before it can be looked at."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.limit = _MAX_DIRECTORY

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._file.tell())
        wanted = left if size < 0 else min(size, left)
        if wanted > self.limit:
            raise ModelFormatError(f"its directory is larger than that of {MAX_ENTRIES:,} tensors")
        return self._file.read(wanted)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def _check_start(start: bytes, size: int) -> None:
    """Tell what is no archive by its first bytes, in words that help."""
    if not size:
        raise ModelFormatError("it is empty; copy it again")
    if start.startswith(b"PK\x03\x04"):
        return
    if start.startswith(_LEGACY):
        raise ModelFormatError(
            "it is in the format of torch before 1.6; where you trust it, convert it with "
            "torch.save(torch.load(old, weights_only=False), new)"
        )
    if start.startswith(b"version https://git-lfs"):
        raise ModelFormatError("it is a pointer of Git LFS; fetch the file itself with git lfs pull")
    if start.lstrip()[:1] == b"<":
        raise ModelFormatError("it is a web page; download the file itself")
    raise ModelFormatError("it is not an archive of torch.save")


def _checked_entries(infos: list[zipfile.ZipInfo], size: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's entries by their names within its one folder."""
    if len(infos) > MAX_ENTRIES:
        raise ModelFormatError(f"it has {len(infos):,} entries, more than any checkpoint")
    entries: dict[str, zipfile.ZipInfo] = {}
    root = infos[0].filename.partition("/")[0] if infos else ""
    for info in infos:
        folder, _, name = info.filename.partition("/")
        if folder != root or not name or info.orig_filename != info.filename or ".." in info.filename.split("/"):
            raise ModelFormatError(f"its entry {info.orig_filename[:60]!a} is not where torch.save puts one")
        if name in entries:
            raise ModelFormatError(f"it has two entries {name[:60]!a}")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise ModelFormatError(
                f"its entry {name[:60]!a} is compressed or encrypted, which torch.save never does; save it again with torch"
            )
        entries[name] = info
    if sum(info.file_size for info in infos) > size:
        raise ModelFormatError("its entries claim more bytes than it has")
    return entries
