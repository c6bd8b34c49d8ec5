"""Linear maps from any visible leads to the eight independent ones: ridge regression, Dower, inverse Dower, Kors.

Every map is a matrix W (12, 8): predicted = visible_Tx12 @ W, where rows of leads that are not visible are zero.
A set of visible leads is a mask over the twelve; two limb leads give the other four, so a mask is closed under
that (`visible`), and one limb lead alone, III say, is as good an input as I.

Matrices: Dower et al. 1980 and its inverse, Edenbrandt & Pahlm 1988; Kors et al. 1990.
"""

import jax.numpy as jnp
import numpy as np

from ttecg.ecg import DOWER, EIGHT_TO_TWELVE, INDEPENDENT, LEADS, lead_name

TO_TWELVE = EIGHT_TO_TWELVE.astype(np.float32)  # for jax: eight @ TO_TWELVE = twelve
_LIMB = 6
# where the eight independent leads stand among the twelve
EIGHT = np.array([LEADS.index(name) for name in INDEPENDENT])

# rows X, Y, Z; columns I, II, V1-V6
INVERSE_DOWER = np.array([
    [0.156, -0.010, -0.172, -0.074, 0.122, 0.231, 0.239, 0.194],
    [-0.227, 0.887, 0.057, -0.019, -0.106, -0.022, 0.041, 0.048],
    [0.022, 0.102, -0.229, -0.310, -0.246, -0.063, 0.055, 0.108],
])  # fmt: skip
KORS = np.array([
    [0.38, -0.07, -0.13, 0.05, -0.01, 0.14, 0.06, 0.54],
    [-0.07, 0.93, 0.06, -0.02, -0.05, 0.06, -0.17, 0.13],
    [0.11, -0.23, -0.43, -0.06, -0.14, -0.20, -0.11, 0.31],
])  # fmt: skip


def visible(leads) -> np.ndarray:
    """The mask (12,) of leads that are known when these are: any two limb leads give all six.

    ValueError for an unknown lead, for none, and where nothing is left to predict.
    """
    names = [lead_name(name) for name in leads]
    unknown = [name for name in names if name not in LEADS]
    if unknown:
        raise ValueError(f"no lead {unknown[0]!r}; there are {', '.join(LEADS)}")
    if not names:
        raise ValueError("no lead is given; name at least one, as in I,II,V2")
    mask = np.isin(LEADS, names)
    if mask[:_LIMB].sum() > 1:
        mask[:_LIMB] = True
    if mask.all():
        raise ValueError(f"{', '.join(names)} give all twelve leads, there is none left to reconstruct")
    return mask


def hidden(mask_12) -> tuple[str, ...]:
    """Names of the independent leads that a mask does not hold, in the order of `INDEPENDENT`. With one limb lead
    that is neither I nor II, both of these are hidden."""
    return tuple(name for name, i in zip(INDEPENDENT, EIGHT) if not mask_12[i])


def basis(mask_12):
    """The same information without repetition: where I and II are visible the other limb leads are dropped."""
    mask = jnp.asarray(mask_12)
    both = mask[..., :1] & mask[..., 1:2]
    return mask & ~jnp.concatenate(
        [jnp.zeros_like(mask[..., :2]), jnp.broadcast_to(both, mask[..., 2:6].shape)]
        + [jnp.zeros_like(mask[..., 6:])],
        -1,
    )


def ridge(moment_8x8, mask_12, strength: float = 1e-3):
    """W (12, 8) of ridge regression from the second moments of the eight leads, E[x x'] in mV^2 (band-passed signals
    have no mean). strength: of the penalty, as a share of the mean power of a lead. Works under jit and vmap."""
    moment = TO_TWELVE.T @ moment_8x8 @ TO_TWELVE
    m = basis(mask_12).astype(moment.dtype)
    penalty = strength * jnp.trace(moment_8x8) / 8
    gram = moment * m[:, None] * m[None] + jnp.diag(penalty * m + (1 - m))
    return jnp.linalg.solve(gram, (moment @ _SELECT) * m[:, None])


_SELECT = np.eye(12, dtype=np.float32)[:, EIGHT]


def dower(mask_12) -> np.ndarray:
    """W (12, 8): the heart vector of least squares (least norm where fewer than three leads are visible) through
    Dower's matrix, and back to the leads."""
    m = np.asarray(basis(mask_12), float)
    return (m[:, None] * np.linalg.pinv((TO_TWELVE.T @ DOWER) * m[:, None]).T @ DOWER.T).astype(np.float32)


def inverse_dower(mask_12) -> np.ndarray:
    """W (12, 8): see `_consistent`, with the inverse Dower matrix."""
    return _consistent(INVERSE_DOWER, mask_12)


def kors(mask_12) -> np.ndarray:
    """W (12, 8): see `_consistent`, with the regression matrix of Kors."""
    return _consistent(KORS, mask_12)


def _consistent(to_vector_3x8: np.ndarray, mask_12) -> np.ndarray:
    """The leads that agree with their own vectorcardiogram: all eight give X, Y, Z by the matrix, X, Y, Z give the
    leads by Dower's, and the hidden ones are those that come back nearest to what went in (least squares)."""
    m = np.asarray(basis(mask_12), bool)
    # eight = free part + part fixed by what is visible, written over a basis of the eight leads
    seen = TO_TWELVE[:, m].T.astype(float)  # (visible, 8): seen @ eight = visible values
    fixed = np.linalg.pinv(seen)  # (8, visible)
    free = np.linalg.svd(seen)[2][len(seen) :].T  # (8, hidden)
    miss = np.eye(8) - DOWER @ to_vector_3x8
    eight = fixed - free @ np.linalg.pinv(miss @ free, rcond=1e-6) @ miss @ fixed
    weights = np.zeros((12, 8), np.float32)
    weights[m] = eight.T
    return weights


def restore(predicted_BxTx8, visible_BxTx12, mask_Bx12):
    """The prediction with what is visible put back: visible leads as they are; one visible limb lead that is neither
    I nor II moves I and II by the least that makes it right."""
    mask = jnp.asarray(mask_Bx12)
    limb = TO_TWELVE[:2, :_LIMB]
    miss = (visible_BxTx12[..., :_LIMB] - predicted_BxTx8[..., :2] @ limb) * mask[:, None, :_LIMB]
    # with one limb lead visible only its own term is left in the sum
    moved = predicted_BxTx8[..., :2] + miss @ (limb / (limb**2).sum(0)).T
    two = jnp.where(mask[:, None, :2], visible_BxTx12[..., :2], moved)
    chest = jnp.where(mask[:, None, _LIMB:], visible_BxTx12[..., _LIMB:], predicted_BxTx8[..., 2:])
    return jnp.concatenate([two, chest], -1)
