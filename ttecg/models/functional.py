"""A flax.nnx module seen as functions of flat dictionaries {"path/of/parameter": array}.

Flat dictionaries are what the optimiser, the sharding rules, the checkpoints and safetensors all want.
"""

import jax
from flax import nnx


class Functional:
    """`factory(rngs)` builds the module; only its structure is kept here, no arrays."""

    def __init__(self, factory):
        self._factory = factory
        self._graph, params, buffers = nnx.split(nnx.eval_shape(lambda: factory(nnx.Rngs(0))), nnx.Param, ...)
        self._params, self._buffers = _paths(params), _paths(buffers)
        self.shapes = {name: v.shape for name, v in (*self._named(params), *self._named(buffers))}

    def init(self, key) -> tuple[dict, dict]:
        """Fresh (params, buffers); pure, so it can be jitted with output shardings."""
        _, params, buffers = nnx.split(self._factory(nnx.Rngs(key)), nnx.Param, ...)
        return dict(self._named(params)), dict(self._named(buffers))

    def merge(self, params: dict, buffers: dict):
        """The module holding these arrays."""
        both = [(path, params[name]) for name, path in self._params.items()]
        both += [(path, buffers[name]) for name, path in self._buffers.items()]
        return nnx.merge(self._graph, _nest(both))

    def buffers(self, module) -> dict:
        """The non-trained state of a module that was merged here."""
        return dict(self._named(nnx.split(module, nnx.Param, ...)[2]))

    def count(self) -> int:
        """Number of trainable parameters."""
        return sum(_size(self.shapes[name]) for name in self._params)

    @property
    def param_names(self) -> tuple[str, ...]:
        return tuple(self._params)

    @staticmethod
    def _named(state):
        return [("/".join(map(str, path)), v.get_value()) for path, v in nnx.to_flat_state(state)]


def _paths(state) -> dict[str, tuple]:
    return {"/".join(map(str, path)): path for path, _ in nnx.to_flat_state(state)}


def _size(shape) -> int:
    n = 1
    for s in shape:
        n *= s
    return n


def _nest(items) -> dict:
    tree: dict = {}
    for path, value in items:
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = value
    return tree


def check_arrays(expected: dict[str, tuple], arrays: dict, where: str):
    """ValueError naming the first array that is missing, unexpected or of another shape."""
    for name, shape in expected.items():
        if name not in arrays:
            raise ValueError(f"{where}: weight {name} is missing; the bundle does not fit its config.json")
        if tuple(arrays[name].shape) != tuple(shape):
            raise ValueError(
                f"{where}: weight {name} has shape {tuple(arrays[name].shape)}, the model wants {shape}"
            )
    extra = sorted(set(arrays) - set(expected))
    if extra:
        raise ValueError(f"{where}: weight {extra[0]} belongs to no part of the model")


def cast(params: dict, dtype) -> dict:
    """Floating-point arrays in another type; the rest unchanged."""
    return jax.tree.map(
        lambda x: x.astype(dtype) if jax.numpy.issubdtype(x.dtype, jax.numpy.floating) else x, params
    )
