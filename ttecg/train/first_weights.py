"""The weights that a run starts from: those of another run, or of a bundle that ships."""

import dataclasses

import jax
import jax.numpy as jnp

from ttecg.bundle import load_fitting
from ttecg.models.functional import Functional
from ttecg.train.state import TrainState


def check(init: str, functional: Functional, own: str | None = ""):
    """ValueError where a run could not start from `init`, told before anything is made; `own` as for `fitting`."""
    if init:
        names = functional.param_names
        fitting(
            init, {name: jax.ShapeDtypeStruct(functional.shapes[name], jnp.float32) for name in names}, own
        )


def fitting(init: str, params: dict, own: str | None = "") -> dict:
    """`params` with the weights of a work directory or bundle. ValueError where one lacks whose name starts with `own`,
    and where all do; None: where all do."""
    params, missing = load_fitting(init, params)
    missing = [name for name in missing if own is not None and name.startswith(own)]
    if missing:
        raise ValueError(f"init={init}: its weights do not fit this model at {missing[0]}")
    return params


def begun(init: str, state: TrainState, own: str = "") -> TrainState:
    """The state with the weights of `init`, and their averages; as it is where init is empty."""
    if not init:
        return state
    params = fitting(init, state.params, own)
    return dataclasses.replace(state, params=params, ema=jax.tree.map(jnp.copy, params))
