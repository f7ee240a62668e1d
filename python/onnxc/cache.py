"""Compiled models and descriptions of models on disk, keyed by what went into them.

An entry is one file, KEY.so or KEY.json, with a trailer (sha256 of what is before it, then a magic word) that the loader of
libraries ignores. Entries appear by atomic rename; an entry whose trailer does not fit is taken for absent and made again. A lock per
key makes concurrent processes compile once. Tested in tests/api/test_cache.py.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import stat
import tempfile
from collections.abc import Callable, Iterator

_MAGIC = b"onnxc-cache-v1\n\0"
_TRAILER = 32 + len(_MAGIC)


def cache_folder() -> pathlib.Path:
    """$ONNXC_CACHE_DIR, or ~/.cache/onnxc, or where neither can be written a folder of this user's under /tmp."""
    wanted = os.environ.get("ONNXC_CACHE_DIR")
    if not wanted:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        wanted = os.path.join(base, "onnxc")
    folder = pathlib.Path(wanted)
    return folder if _is_writable(folder) else _temporary_folder()


def _is_writable(folder: pathlib.Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _temporary_folder() -> pathlib.Path:
    folder = pathlib.Path(tempfile.gettempdir()) / f"onnxc-cache-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    seen = folder.lstat()
    # Somebody else could have made it, to have us load what is theirs.
    if stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & 0o022:
        return folder
    return pathlib.Path(tempfile.mkdtemp(prefix="onnxc-cache-"))


def get(name: str, make: Callable[[str], None]) -> str:
    """The path of the entry `name` (KEY.so, KEY.json). Where it is not there, make(path) writes it first, without the trailer."""
    folder = cache_folder()
    entry = folder / name
    if _is_sound(entry):
        return str(entry)
    with _locked(folder / f"{name}.lock"):
        if not _is_sound(entry):  # nobody made it while we waited
            _make(entry, make)
    return str(entry)


def get_text(name: str, make: Callable[[], str]) -> str:
    """The same for an entry that is text."""
    entry = get(name, lambda path: pathlib.Path(path).write_text(make(), encoding="utf-8"))
    return pathlib.Path(entry).read_bytes()[:-_TRAILER].decode("utf-8")


def _make(entry: pathlib.Path, make: Callable[[str], None]) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=entry.parent, prefix="new-", suffix=entry.suffix)
    os.close(descriptor)
    try:
        make(temporary)
        with open(temporary, "r+b") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            file.seek(0, os.SEEK_END)
            file.write(digest + _MAGIC)
        os.chmod(temporary, 0o600)
        os.replace(temporary, entry)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _is_sound(entry: pathlib.Path) -> bool:
    try:
        with open(entry, "rb") as file:
            size = os.fstat(file.fileno()).st_size - _TRAILER
            if size <= 0:
                return False
            digest = hashlib.sha256()
            while size > 0 and (block := file.read(min(size, 1 << 20))):
                digest.update(block)
                size -= len(block)
            return size == 0 and file.read() == digest.digest() + _MAGIC
    except OSError:
        return False


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file unlocks it, also when the process dies
