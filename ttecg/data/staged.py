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
    """A hidden folder beside `out` that takes its place on success and vanishes on failure."""
    with _hidden_folder(out, BaseException) as folder:
        _clear(folder, keep=())
        yield folder
        os.replace(folder, out)


@contextlib.contextmanager
def resumable_folder(out, plan: str):
    """(folder to fill, folder for notes about it); on success the first takes the place of `out`, the second vanishes.

    Both vanish where ValueError is raised. Any other end leaves them, and the next run with the same `plan` finds in
    them what the last one finished. Scratch files go beside the two, into their hidden parent."""
    with _hidden_folder(out, ValueError) as hidden:
        folder, notes, written = hidden / "set", hidden / "notes", hidden / "plan"
        same = written.is_file() and written.read_text(encoding="utf-8") == plan
        _clear(hidden, keep=("set", "notes", "plan") if same else ())
        with staged(hidden, "plan") as scratch:
            (scratch / "plan").write_text(plan, encoding="utf-8")
        folder.mkdir(exist_ok=True)
        notes.mkdir(exist_ok=True)
        yield folder, notes
        os.replace(folder, out)
        shutil.rmtree(hidden)


def clear_leftover(out) -> None:
    """Removes what a run left that was killed when `out` had just been finished."""
    shutil.rmtree(_hidden_beside(out), ignore_errors=True)


def _hidden_beside(out) -> pathlib.Path:
    out = pathlib.Path(out).absolute()
    return out.with_name(f".{out.name}.partial")


@contextlib.contextmanager
def _hidden_folder(out, forget: type[BaseException]):
    """A folder beside `out`, removed where `forget` is raised.

    It is locked while this process lives, so the next run knows that what it finds was left by a killed one."""
    folder = _hidden_beside(out)
    made_parent = not folder.parent.exists()
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder, out)
        try:
            yield folder
        except forget:
            shutil.rmtree(folder, ignore_errors=True)
            if made_parent:
                with contextlib.suppress(OSError):
                    folder.parent.rmdir()
            raise
    finally:
        os.close(handle)


def _clear(folder, keep: tuple[str, ...]):
    for leftover in folder.iterdir():
        if leftover.name not in keep:
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _lock(handle, folder, out):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino != os.stat(folder).st_ino:  # finished and moved away since we opened it
            raise FileNotFoundError
    except OSError:
        raise ValueError(f"{out}: another process is writing it now; wait for it, then try again") from None
