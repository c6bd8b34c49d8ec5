"""The discriminator of the two-lead model (StarGAN v2: one logit per target lead, R1 penalty), and the pair of both.

Axes: B batch, T time, 8 leads (I, II, V1-V6). The methods are pure.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import Conv1d
from ttecg.models.two_lead import TwoLead, TwoLeadConfig

_WIDTHS = (24, 48, 96, 128)


class Discriminator(nnx.Module):
    """One lead (B, T), in units of its spread over the training records, to a logit per lead, (B, 8): is it real, if it
    is this lead? Residual blocks, averaged by two, no norm."""

    def __init__(self, rngs: nnx.Rngs):
        self.first = Conv1d(1, _WIDTHS[0], 7, rngs=rngs)
        steps = list(zip(_WIDTHS[:-1], _WIDTHS[1:]))
        self.convs = nnx.List([Conv1d(a, b, 5, rngs=rngs) for a, b in steps])
        self.short = nnx.List([Conv1d(a, b, 1, rngs=rngs) for a, b in steps])
        self.head = Conv1d(_WIDTHS[-1], 8, 1, rngs=rngs)

    def __call__(self, x_BxT):
        h = self.first(x_BxT[..., None].astype(jnp.float32))
        for conv, short in zip(self.convs, self.short):
            h = (conv(jax.nn.leaky_relu(h, 0.2)) + short(h)) * 2**-0.5
            h = h[:, : h.shape[1] // 2 * 2].reshape(h.shape[0], -1, 2, h.shape[-1]).mean(2)
        return self.head(jax.nn.leaky_relu(h, 0.2)).mean(1)

    def of_lead(self, x_BxT, lead_B):
        """The logit (B,) that belongs to the lead it is said to be."""
        return jnp.take_along_axis(self(x_BxT), lead_B[:, None], 1)[:, 0]


class WithAdversary(nnx.Module):
    """`net`, the model, and `judge`, its discriminator, so that one training state holds both."""

    def __init__(self, config: TwoLeadConfig, *, rngs: nnx.Rngs):
        self.net = TwoLead(config, rngs=rngs)
        self.judge = Discriminator(rngs)


def judge_loss(judge: Discriminator, real_BxT, made_BxT, lead_B, r1: float):
    """What the discriminator minimises: cross-entropy on both and r1/2 |gradient at real leads|^2. Nothing flows into
    whoever made `made`."""
    real, made = (jax.lax.stop_gradient(x) for x in (real_BxT, made_BxT))
    slope = jax.grad(lambda x: judge.of_lead(x, lead_B).sum())(real)
    told_apart = jax.nn.softplus(-judge.of_lead(real, lead_B)) + jax.nn.softplus(judge.of_lead(made, lead_B))
    return told_apart.mean() + 0.5 * r1 * (slope**2).sum(1).mean()


def fool_loss(judge: Discriminator, made_BxT, lead_B):
    """What the generator minimises: to be taken for real by a discriminator that it does not change."""
    graph, state = nnx.split(judge)
    frozen = nnx.merge(graph, jax.tree.map(jax.lax.stop_gradient, state))
    return jax.nn.softplus(-frozen.of_lead(made_BxT, lead_B)).mean()
