"""The training state: a dataclass of plain arrays. The random key is derived from the step and never stored."""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from ttecg.models.functional import Functional


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up and a schedule."""

    # peak learning rate
    learning_rate: float = 1e-3
    # steps of linear warm-up
    warmup: int = 100
    # "cosine" to final_share of the peak at the last step, "constant", or "exponential" by decay_rate per decay_steps
    schedule: str = "cosine"
    final_share: float = 0.02
    decay_rate: float = 0.98
    decay_steps: int = 68
    # decoupled weight decay on arrays of two and more axes
    weight_decay: float = 0.01
    b1: float = 0.9
    b2: float = 0.99
    # global gradient norm; 0 does not clip
    clip: float = 1.0

    def __post_init__(self):
        if self.schedule not in ("cosine", "constant", "exponential"):
            raise ValueError(f"schedule is 'cosine', 'constant' or 'exponential', got {self.schedule!r}")
        if self.warmup < 0:
            raise ValueError(f"optimizer.warmup must be at least 0, got {self.warmup}")

    def rate(self, steps: int) -> optax.Schedule:
        warm = optax.linear_schedule(0.0, self.learning_rate, max(self.warmup, 1))
        after = {
            "cosine": optax.cosine_decay_schedule(
                self.learning_rate, max(steps - self.warmup, 1), self.final_share
            ),
            "constant": optax.constant_schedule(self.learning_rate),
            "exponential": optax.exponential_decay(
                self.learning_rate, self.decay_steps, self.decay_rate, staircase=True
            ),
        }[self.schedule]
        return optax.join_schedules([warm, after], [self.warmup])

    def create(self, steps: int) -> optax.GradientTransformation:
        """The transformation for a run of `steps` steps."""
        adam = optax.adamw(
            self.rate(steps),
            b1=self.b1,
            b2=self.b2,
            weight_decay=self.weight_decay,
            mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params),
        )
        return optax.chain(optax.clip_by_global_norm(self.clip), adam) if self.clip else adam


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """step () int32; params, ema and buffers {name: array}; opt_state of optax."""

    step: jax.Array
    params: dict
    ema: dict
    buffers: dict
    opt_state: optax.OptState


def init_state(functional: Functional, optimizer: optax.GradientTransformation, key) -> TrainState:
    params, buffers = functional.init(key)
    return TrainState(jnp.int32(0), params, jax.tree.map(jnp.copy, params), buffers, optimizer.init(params))


def apply_gradients(state: TrainState, grads: dict, optimizer, ema_decay: float, buffers: dict | None = None):
    """The next state, and the norms worth logging. The average of the parameters starts fast and slows down."""
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
    ema = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.ema, params)
    norms = {"grad_norm": optax.tree.norm(grads), "update_norm": optax.tree.norm(updates)}
    buffers = state.buffers if buffers is None else buffers
    return TrainState(state.step + 1, params, ema, buffers, opt_state), norms
