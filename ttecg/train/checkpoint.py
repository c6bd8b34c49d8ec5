"""Checkpoints: orbax behind four calls. A save is complete or absent, and restores onto any mesh.

A checkpoint has two items: "weights" (averaged parameters and buffers), which alone is what is evaluated and
exported, and "training" (step, parameters, optimiser), which going on needs besides.
"""

import contextlib
import pathlib

import jax
import orbax.checkpoint as ocp

from ttecg.train.state import TrainState


class Checkpoints:
    """Checkpoints of one run, in `workdir/checkpoints`, the newest `keep` of them."""

    def __init__(self, workdir, keep: int = 2):
        self._manager = ocp.CheckpointManager(
            (pathlib.Path(workdir) / "checkpoints").absolute(),
            item_handlers={name: ocp.StandardCheckpointHandler() for name in ("weights", "training")},
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
        )

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return self._manager.latest_step()

    def save(self, step: int, state: TrainState):
        """Starts writing in the background; every process calls it."""
        if step != self._manager.latest_step():
            weights, training = _split(state)
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    weights=ocp.args.StandardSave(weights), training=ocp.args.StandardSave(training)
                ),
            )

    def restore(self, abstract_state: TrainState) -> TrainState:
        """The newest state, laid out as the shardings of `abstract_state` say."""
        weights, training = _split(abstract_state)
        with self._reading():
            got = self._restore(weights=weights, training=training)
        return TrainState(**got["weights"], **got["training"])

    def restore_weights(self) -> tuple[dict, dict]:
        """(averaged parameters, buffers) of the newest checkpoint on one device, whatever mesh wrote it."""
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        with self._reading():
            stored = self._manager.item_metadata(self.latest)["weights"].tree
            shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), stored)
            got = self._restore(weights=shapes)["weights"]
        return got["ema"], got["buffers"]

    def _restore(self, **items):
        args = {name: ocp.args.StandardRestore(tree) for name, tree in items.items()}
        return self._manager.restore(self.latest, args=ocp.args.Composite(**args))

    @contextlib.contextmanager
    def _reading(self):
        """ValueError where there is no checkpoint, or where what is done in the block cannot read it."""
        if self.latest is None:
            raise ValueError(f"no checkpoint in {self._manager.directory}; train first")
        try:
            yield
        except Exception as error:  # orbax raises of many kinds, some of them plain
            said = str(error).strip().partition("\n")[0][:200]
            raise ValueError(
                f"checkpoint {self._manager.directory / str(self.latest)} cannot be read ({said}); if it is damaged, "
                "delete it to go on from the one before"
            ) from error

    def close(self):
        """Waits for the last save."""
        self._manager.wait_until_finished()
        self._manager.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _split(state: TrainState) -> tuple[dict, dict]:
    weights = {"ema": state.ema, "buffers": state.buffers}
    return weights, {"step": state.step, "params": state.params, "opt_state": state.opt_state}
