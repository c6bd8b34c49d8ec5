"""The weight-normalised convolution is a convolution, with a kernel whose size only `length` sets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ttecg.models.weight_norm import NormConv


@pytest.mark.parametrize(
    "kernel, stride, dilation, groups", [(1, 1, 1, 1), (3, 1, 5, 1), (4, 3, 1, 1), (5, 2, 1, 2), (7, 4, 2, 4)]
)
def test_it_is_the_convolution_of_xla(kernel, stride, dilation, groups):
    conv = NormConv(8, 4, kernel, stride=stride, dilation=dilation, groups=groups, rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(2, 29, 8)).astype(np.float32)
    weights = conv.kernel.reshape(groups, kernel, 8 // groups, 4 // groups)
    weights = weights.transpose(1, 2, 0, 3).reshape(kernel, 8 // groups, 4)
    reach = dilation * (kernel - 1)
    wanted = jax.lax.conv_general_dilated(
        x, weights, (stride,), [(reach // 2, reach - reach // 2)], rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=groups,
    )  # fmt: skip
    y = conv(x)
    assert y.shape[1] == -(-29 // stride)
    np.testing.assert_allclose(y, wanted + conv.bias[...], atol=1e-5)


def test_only_the_length_sets_the_size_of_a_kernel():
    conv = NormConv(4, 6, 3, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(conv.kernel, conv.direction[...], rtol=1e-5)
    before = np.asarray(conv.kernel)
    conv.direction[...] = 7 * conv.direction[...]
    np.testing.assert_allclose(conv.kernel, before, rtol=1e-5)
    conv.length[...] = jnp.arange(1.0, 7.0)
    np.testing.assert_allclose((conv.kernel**2).sum(1)[0], np.arange(1, 7) ** 2, rtol=1e-4)
