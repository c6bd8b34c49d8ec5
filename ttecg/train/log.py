"""What a run writes while it goes: a JSONL log always, a progress bar, and wandb when asked."""

import json
import pathlib
import time

import tqdm

from ttecg.train import distributed


class Log:
    """`workdir/log.jsonl`, one line per logged step or evaluation. Only the main process writes."""

    def __init__(
        self, workdir, *, start: int, steps: int, wandb_project: str = "", config: dict | None = None
    ):
        self._main = distributed.is_main()
        self._wandb = None
        if not self._main:
            return
        workdir = pathlib.Path(workdir)
        path = workdir / "log.jsonl"
        _forget_after(path, start)
        self._file = path.open("a", buffering=1)
        self._bar = tqdm.tqdm(total=steps, initial=start, unit="step", dynamic_ncols=True, mininterval=1.0)
        if wandb_project:
            self._wandb = _start_wandb(workdir, wandb_project, config)

    def step(self, step: int, values: dict):
        """Scalars of a step; also shown beside the progress bar."""
        if self._main:
            self._bar.set_postfix(
                {k: f"{v:.4g}" for k, v in values.items() if k in ("loss", "examples_per_s")}, refresh=False
            )
            self.write(step, values)

    def advance(self):
        if self._main:
            self._bar.update(1)

    def write(self, step: int, values: dict):
        if self._main:
            self._file.write(json.dumps({"step": step, "time": round(time.time(), 1), **values}) + "\n")
            if self._wandb:
                self._wandb.log(values, step=step)

    def message(self, text: str):
        if self._main:
            self._bar.write(text)

    def close(self):
        if self._main:
            self._bar.close()
            self._file.close()
            if self._wandb:
                self._wandb.finish()


def _forget_after(path: pathlib.Path, start: int):
    """Lines of steps that a resumed run will do again, and a line cut short by a kill, are dropped."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= start:
                kept.append(line)
        except ValueError:
            continue
    scratch = path.with_suffix(".tmp")
    scratch.write_text("".join(line + "\n" for line in kept))
    scratch.replace(path)


def _start_wandb(workdir: pathlib.Path, project: str, config):
    """The run's id is kept in the work directory, so a resumed run goes on in the same wandb run."""
    import wandb

    id_file = workdir / "wandb_id"
    known = id_file.read_text() if id_file.exists() else None
    run = wandb.init(project=project, id=known, resume="allow" if known else None, dir=workdir, config=config)
    id_file.write_text(run.id)
    return run
