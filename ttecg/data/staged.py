"""Files that appear whole or not at all."""

import contextlib
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
