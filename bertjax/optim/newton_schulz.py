# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Newton–Schulz: matrices whose singular values are brought near one.

An iteration is X ← X p(XᵀX) with p(g) = a + b g + c g², for wide matrices
X ← p(XXᵀ) X (Jordan et al., 2024, whose coefficients optax has as well). With
m the shorter side, n = r m the longer, and G the m × m Gram matrix of X:

- iteration by iteration: G, its square and the product with X are 2 r + 1
  products of m × m matrices. Five take 5 (2 r + 1), of 2 m³ FLOPs each.
- several as one: all that is multiplied with X is a polynomial of one G, and
  all polynomials of G commute. Q ← p(G) Q and G ← p(G)² G are followed, and X
  is multiplied once. Three and then two take 4 r + 14.

In float32 G has lost what singular values below 2e-4 of the largest were. What
is there in their place grows by a² an iteration: to 1e-5 in three, and to 1e-3
in five. Therefore X is multiplied after three, and G is made anew from it: the
result is as exact as that of one by one. Where float32 is multiplied in fewer
bits, as on GPUs and TPUs, two stages would be tens to hundreds of times less
exact for ill-conditioned matrices.
"""

import functools
import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

Array = jax.Array
# The blocks on and above the diagonal of a symmetric matrix, by (row, column).
Symmetric = dict[tuple[int, int], Array]

# Jordan et al. (2024): chosen for their slope at zero, at the price of values
# that do not converge to one.
A, B, C = 3.4445, -4.7750, 2.0315
# Iterations after each of which X is multiplied.
ONE_BY_ONE = (1, 1, 1, 1, 1)
_THREE_AND_TWO = (3, 2)
# 4 r + 14 < 5 (2 r + 1)
_WIDE = 1.5
# From here on what a matrix needs exceeds a CPU core's cache if all layers take
# a step together, and XLA's products of half the size are as fast.
_LARGE = 384


def orthogonalize(matrices: Array) -> Array:
  """Apply five iterations to each matrix.

  Args:
    matrices: [L, inputs, outputs] float32, of singular values of at most one,
      such as matrices that are divided by their Frobenius norm.

  Returns:
    [L, inputs, outputs]: the singular vectors of `matrices`; singular values
    above 0.002 become values between 0.68 and 1.21.
  """
  one_by_one = jax.vmap(functools.partial(iterate, stages=ONE_BY_ONE))
  if jax.sharding.get_abstract_mesh().size > 1:
    return one_by_one(matrices)  # A block of a shard would be exchanged.
  return jax.lax.platform_dependent(matrices, cpu=_on_cpu, default=one_by_one)


def _on_cpu(matrices: Array) -> Array:
  """Take the fewest products that are exact in float32."""
  shorter, longer = sorted(matrices.shape[1:])
  stages = _THREE_AND_TWO if longer > _WIDE * shorter else ONE_BY_ONE
  if shorter < _LARGE:
    return jax.vmap(functools.partial(iterate, stages=stages))(matrices)
  num_blocks = 1 if shorter % 2 else 2
  return jax.lax.map(
    functools.partial(iterate, stages=stages, num_blocks=num_blocks), matrices
  )


def iterate(matrix: Array, stages: Sequence[int], num_blocks: int = 1) -> Array:
  """Apply sum(stages) iterations to one matrix.

  Args:
    matrix: [inputs, outputs], of singular values of at most one.
    stages: after how many iterations each the matrix is multiplied.
    num_blocks: into how many parts the shorter side is cut. Of symmetric
      products only the blocks on and above the diagonal are computed: 3/4 of
      the FLOPs with two parts, 5/8 with four.
  """
  axis = 0 if matrix.shape[0] <= matrix.shape[1] else 1
  parts = jnp.split(matrix, num_blocks, axis)
  for iterations in stages:
    scale, rest = _polynomial(_gram(parts, axis), iterations)
    multiplied = _apply(rest, parts, axis)
    parts = [
      scale * part + product
      for part, product in zip(parts, multiplied, strict=True)
    ]
  return jnp.concatenate(parts, axis)


def _polynomial(gram: Symmetric, iterations: int) -> tuple[float, Symmetric]:
  """Return the scale s and the rest R of Q = s I + R.

  Multiples of the identity stay apart, so that float32 does not round small
  singular values to what fits beside it.
  """
  scale, rest = 1.0, None
  for left in reversed(range(iterations)):
    # p(G) = A I + factor
    factor = _sum(lambda g, gg: B * g + C * gg, gram, _multiply(gram, gram))
    if rest is None:
      rest = factor
    else:
      rest = _sum(
        lambda f, q, fq, scale=scale: scale * f + A * q + fq,
        factor,
        rest,
        _multiply(factor, rest),
      )
    scale *= A
    if left:
      for _ in range(2):
        product = _multiply(factor, gram)
        gram = _sum(lambda g, fg: A * g + fg, gram, product)
  assert rest is not None
  return scale, rest


def _sum(function: Callable[..., Array], *matrices: Symmetric) -> Symmetric:
  return jax.tree.map(function, *matrices)


def _block(matrix: Symmetric, row: int, column: int) -> Array:
  if row <= column:
    return matrix[row, column]
  return matrix[column, row].T


def _gram(parts: Sequence[Array], axis: int) -> Symmetric:
  """Return X Xᵀ of parts of rows (axis 0), Xᵀ X of parts of columns."""
  return {
    (i, j): one @ other.T if axis == 0 else one.T @ other
    for i, one in enumerate(parts)
    for j, other in enumerate(parts)
    if i <= j
  }


def _multiply(one: Symmetric, other: Symmetric) -> Symmetric:
  """Return the product, which is symmetric because the factors commute."""
  size = 1 + max(one)[0]
  return {
    (i, j): functools.reduce(
      operator.add,
      (_block(one, i, k) @ _block(other, k, j) for k in range(size)),
    )
    for i, j in one
  }


def _apply(
  factor: Symmetric, parts: Sequence[Array], axis: int
) -> Sequence[Array]:
  """Return the parts of F X for parts of rows (axis 0), of X F for columns."""

  def product(i: int, k: int) -> Array:
    block = _block(factor, i, k)
    return block @ parts[k] if axis == 0 else parts[k] @ block.T

  places = range(len(parts))
  return [
    functools.reduce(operator.add, (product(i, k) for k in places))
    for i in places
  ]
