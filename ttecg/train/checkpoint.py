"""Checkpoints: orbax behind four calls. A save is complete or absent, and restores onto any mesh."""

import pathlib

import jax
import orbax.checkpoint as ocp


class Checkpoints:
    """Checkpoints of one run, in `workdir/checkpoints`, the newest `keep` of them."""

    def __init__(self, workdir, keep: int = 2):
        self._manager = ocp.CheckpointManager(
            (pathlib.Path(workdir) / "checkpoints").absolute(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
        )

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return self._manager.latest_step()

    def save(self, step: int, state):
        """Starts writing in the background; every process calls it."""
        if step != self._manager.latest_step():
            self._manager.save(step, args=ocp.args.StandardSave(state))

    def restore(self, abstract_state, step: int | None = None):
        """The state at `step` (default: the newest), laid out as the shardings of `abstract_state` say."""
        step = self.latest if step is None else step
        if step is None:
            raise ValueError(f"no checkpoint in {self._manager.directory}; train first")
        return self._manager.restore(step, args=ocp.args.StandardRestore(abstract_state))

    def close(self):
        """Waits for the last save."""
        self._manager.wait_until_finished()
        self._manager.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def abstract(tree, shardings):
    """Shapes, types and target shardings of a state, for `restore`."""
    return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), tree, shardings)
