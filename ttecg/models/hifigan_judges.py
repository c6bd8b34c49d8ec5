"""The discriminators of HiFi-GAN over all leads at once, and their losses (least squares, feature matching).

A period judge folds time into rows of p samples and looks along the columns; a scale judge looks at the signal averaged
by 2, none, one or more times. Unlike the reference every judge is weight-normalised, also the first of the scales.

Axes: B batch, T time, L leads in units of their spread. A judge gives the outputs of all its layers, the last of them
its opinion: 1 is recorded, 0 is made. Methods are pure.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.hifigan import SLOPE, HifiGan, HifiGanConfig
from ttecg.models.weight_norm import NormConv


@dataclasses.dataclass(frozen=True)
class JudgesConfig:
    """Sizes of the discriminators; the default is that of the paper."""

    # samples per row of each period judge, its channels, kernel and stride (the last layer has stride 1)
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_widths: tuple[int, ...] = (32, 128, 512, 1024, 1024)
    period_kernel: int = 5
    period_stride: int = 3
    # number of scale judges, and of each its channels, kernels, strides and groups, layer by layer
    scales: int = 3
    scale_widths: tuple[int, ...] = (128, 128, 256, 512, 1024, 1024, 1024)
    scale_kernels: tuple[int, ...] = (15, 41, 41, 41, 41, 41, 5)
    scale_strides: tuple[int, ...] = (1, 2, 2, 4, 4, 1, 1)
    scale_groups: tuple[int, ...] = (1, 4, 16, 16, 16, 16, 1)

    def __post_init__(self):
        lengths = {
            len(x) for x in (self.scale_widths, self.scale_kernels, self.scale_strides, self.scale_groups)
        }
        if len(lengths) > 1:
            raise ValueError("scale_widths, scale_kernels, scale_strides, scale_groups: give as many of each")
        if not self.periods and not self.scales:
            raise ValueError("there is no judge; give periods or scales")


class Judges(nnx.Module):
    """All judges of a signal (B, T, L): a list of lists of layer outputs, one list for each judge."""

    def __init__(self, config: JudgesConfig, leads: int, *, rngs: nnx.Rngs):
        c, self.periods = config, config.periods
        strides = (c.period_stride,) * (len(c.period_widths) - 1) + (1,)
        kernels = (c.period_kernel,) * len(strides)
        ones = (1,) * len(strides)
        self.by_period = nnx.List(
            [_Judge(leads, c.period_widths, kernels, strides, ones, rngs) for _ in c.periods]
        )
        scale = (c.scale_widths, c.scale_kernels, c.scale_strides, c.scale_groups)
        self.by_scale = nnx.List([_Judge(leads, *scale, rngs) for _ in range(c.scales)])

    def __call__(self, x_BxTxL) -> list[list]:
        found = [judge(fold(x_BxTxL, p)) for p, judge in zip(self.periods, self.by_period)]
        for judge in self.by_scale:
            found.append(judge(x_BxTxL))
            x_BxTxL = average_by_two(x_BxTxL)
        return found


class _Judge(nnx.Module):
    def __init__(self, leads: int, widths, kernels, strides, groups, rngs):
        inputs = (leads, *widths)
        self.layers = nnx.List([
            NormConv(a, b, k, stride=s, groups=g, rngs=rngs)
            for a, b, k, s, g in zip(inputs, widths, kernels, strides, groups)
        ])  # fmt: skip
        self.opinion = NormConv(inputs[-1], leads, 3, rngs=rngs)

    def __call__(self, x) -> list:
        outputs = []
        for layer in self.layers:
            x = jax.nn.leaky_relu(layer(x), SLOPE)
            outputs.append(x)
        return [*outputs, self.opinion(x)]


def fold(x_BxTxL, period: int):
    """(B, T, L) -> (B period, T / period, L): every period-th sample is a signal; T is filled up by reflection."""
    x = jnp.pad(x_BxTxL, ((0, 0), (0, -x_BxTxL.shape[1] % period), (0, 0)), mode="reflect")
    rows = x.reshape(x.shape[0], -1, period, x.shape[-1]).swapaxes(1, 2)
    return rows.reshape(-1, *rows.shape[2:])


def average_by_two(x_BxTxL):
    """Means of four samples, two samples apart, with two zeros at either end: T -> T / 2 + 1."""
    x = jnp.pad(x_BxTxL, ((0, 0), (2, 2), (0, 0)))
    span = x.shape[1] - 3
    return sum(x[:, i : i + span : 2] for i in range(4)) / 4


class WithJudges(nnx.Module):
    """`net`, the generator, and `judges` (None for none), so that one training state holds both."""

    def __init__(self, config: HifiGanConfig, judges: JudgesConfig | None, *, rngs: nnx.Rngs):
        self.net = HifiGan(config, rngs=rngs)
        self.judges = Judges(judges, config.leads, rngs=rngs) if judges else None


def judge_loss(judges, real_BxTxL, made_BxTxL):
    """What the judges minimise (Mao et al. 2017): (1 - opinion of real)² + (opinion of made)², means summed over
    judges. Nothing flows into whoever made `made`."""
    both = judges(jax.lax.stop_gradient(jnp.concatenate([real_BxTxL, made_BxTxL])))
    opinions = [jnp.split(outputs[-1], 2) for outputs in both]
    return sum(((1 - real) ** 2).mean() + (made**2).mean() for real, made in opinions)


def fool_losses(judges, real_BxTxL, made_BxTxL):
    """What the generator minimises, of judges that it does not change: (1 - opinion of made)², and the mean absolute
    difference of all layers' outputs (feature matching), means summed over judges and layers."""
    graph, state = nnx.split(judges)
    frozen = nnx.merge(graph, jax.tree.map(jax.lax.stop_gradient, state))
    both = [
        [jnp.split(x, 2) for x in outputs] for outputs in frozen(jnp.concatenate([real_BxTxL, made_BxTxL]))
    ]
    fooled = sum(((1 - outputs[-1][1]) ** 2).mean() for outputs in both)
    alike = sum(jnp.abs(real - made).mean() for outputs in both for real, made in outputs)
    return fooled, alike
