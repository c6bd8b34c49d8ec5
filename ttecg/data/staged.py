"""Files and folders that appear whole or not at all."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def staged(folder, *names: str):
    """A temporary folder inside `folder` (which is made where missing) to write `names` into.

    On success they move into `folder`, in this order, each replacing a file of its name at once; on failure
    nothing of them is seen."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{names[0]}.", dir=folder))
    try:
        yield temporary
        for name in names:
            os.replace(temporary / name, folder / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def staged_folder(out):
    """A hidden folder beside `out` that takes its place on success and vanishes on failure.

    It is locked while this process lives, so the next run knows what a killed one left and clears it away."""
    out = pathlib.Path(out).absolute()
    made_parent = not out.parent.exists()
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_name(f".{out.name}.partial")
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder, out)
        try:
            for leftover in folder.iterdir():
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            yield folder
            os.replace(folder, out)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if made_parent:
                with contextlib.suppress(OSError):
                    out.parent.rmdir()
            raise
    finally:
        os.close(handle)


def _lock(handle, folder, out):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino != os.stat(folder).st_ino:  # finished and moved away since we opened it
            raise FileNotFoundError
    except OSError:
        raise ValueError(f"{out}: another process is writing it now; wait for it, then try again") from None
