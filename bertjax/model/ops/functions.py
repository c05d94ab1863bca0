# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Functions whose derivatives are written down.

Left to itself, differentiation keeps three or four arrays of the size of the
input for each of the elementwise ones; written down, it keeps one.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

Array = jax.Array
# The name under which rematerialisation finds the products with kernels.
PROJECTION = "projection"


@jax.custom_jvp
def gelu(x: Array) -> Array:
  """Return x · Φ(x), with Φ through erf; jax.nn goes through costlier erfc."""
  return x * _normal_cdf(x)


@gelu.defjvp
def _gelu_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
  (x,), (dx,) = primals, tangents
  cdf = _normal_cdf(x)
  density = jnp.exp(-0.5 * x * x) * (0.5 / jnp.pi) ** 0.5
  return x * cdf, dx * (cdf + x * density)


def _normal_cdf(x: Array) -> Array:
  return 0.5 + 0.5 * jax.lax.erf(x * 0.5**0.5)


@jax.custom_jvp
def gelu_tanh(x: Array) -> Array:
  """Return the tanh approximation of gelu (Hendrycks and Gimpel, 2016)."""
  return x * (0.5 + 0.5 * jnp.tanh(_tanh_argument(x)))


@gelu_tanh.defjvp
def _gelu_tanh_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
  (x,), (dx,) = primals, tangents
  inner = jnp.tanh(_tanh_argument(x))
  cdf = 0.5 + 0.5 * inner
  slope = (2 / jnp.pi) ** 0.5 * (1.0 + 3 * 0.044715 * x * x)
  return x * cdf, dx * (cdf + 0.5 * x * (1.0 - inner * inner) * slope)


def _tanh_argument(x: Array) -> Array:
  return (2 / jnp.pi) ** 0.5 * x * (1.0 + 0.044715 * x * x)


def project(inputs: Array, kernel: Array, axes: int) -> Array:
  """Contract the last `axes` of `inputs` with the first of `kernel`.

  The gradient of the kernel is taken so that the narrower factor is the one
  to be transposed. By default it is always the gradient of the output, and
  on CPU the wide copy and the product after it take three times as long.
  """
  output = _project(inputs, kernel, axes)
  # A checkpoint policy sees no product inside a function of its own.
  return checkpoint_name(output, PROJECTION)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _project(inputs: Array, kernel: Array, axes: int) -> Array:
  return _contract(inputs, kernel, range(inputs.ndim - axes, inputs.ndim))


def _project_forward(
  inputs: Array, kernel: Array, axes: int
) -> tuple[Array, tuple[Array, Array]]:
  return _project(inputs, kernel, axes), (inputs, kernel)


def _project_backward(
  axes: int, kept: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
  inputs, kernel = kept
  lead = inputs.ndim - axes
  return (
    jax.lax.dot_general(
      gradient,
      kernel,
      ((range(lead, gradient.ndim), range(axes, kernel.ndim)), ((), ())),
    ),
    _kernel_gradient(inputs, gradient, lead),
  )


def _kernel_gradient(inputs: Array, gradient: Array, lead: int) -> Array:
  """Sum of outer products over the first `lead` axes of both."""
  rows = range(lead)
  if math.prod(inputs.shape[lead:]) <= math.prod(gradient.shape[lead:]):
    return _contract(inputs, gradient, rows)
  outer = _contract(gradient, inputs, rows)
  split = gradient.ndim - lead
  return outer.transpose(*range(split, outer.ndim), *range(split))


def _contract(left: Array, right: Array, axes: range) -> Array:
  """Sum over `axes` of `left` and as many first axes of `right`."""
  return jax.lax.dot_general(left, right, ((axes, range(len(axes))), ((), ())))


_project.defvjp(_project_forward, _project_backward)


@jax.custom_vjp
def look_up(table_VD: Array, ids: Array) -> Array:
  """Return table[ids], along a new last axis.

  What a batch adds to a row is summed in float32: a frequent piece would lose
  its later occurrences in a sum of bfloat16.
  """
  return jnp.take(table_VD, ids, axis=0)


def _look_up_forward(table_VD: Array, ids: Array) -> tuple[Array, Any]:
  return look_up(table_VD, ids), (table_VD, ids)


def _look_up_backward(kept: Any, gradient: Array) -> tuple[Array, None]:
  table_VD, ids = kept
  zeros_VD = jnp.zeros(table_VD.shape, jnp.float32)
  sums_VD = zeros_VD.at[ids].add(gradient.astype(jnp.float32))
  return sums_VD.astype(table_VD.dtype), None


look_up.defvjp(_look_up_forward, _look_up_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalise(
  hidden: Array, scale_D: Array, bias_D: Array, epsilon: float
) -> Array:
  """Layer normalisation over the last axis, in float32.

  The variance is the mean of squared deviations: a difference of means would
  lose its digits far from zero.
  """
  return _normalise_forward(hidden, scale_D, bias_D, epsilon)[0]


def _normalise_forward(
  hidden: Array, scale_D: Array, bias_D: Array, epsilon: float
) -> tuple[Array, Any]:
  exact = hidden.astype(jnp.float32)
  centred = exact - jnp.mean(exact, axis=-1, keepdims=True)
  variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
  inverse = jax.lax.rsqrt(variance + epsilon)
  normal = centred * inverse
  output = normal * _spread(scale_D, hidden) + _spread(bias_D, hidden)
  # Kept as narrow as the layer's own input.
  return output, (normal.astype(hidden.dtype), inverse, scale_D)


def _normalise_backward(
  epsilon: float, kept: Any, gradient: Array
) -> tuple[Array, Array, Array]:
  del epsilon
  narrow, inverse, scale_D = kept
  normal = narrow.astype(jnp.float32)
  rows = tuple(range(gradient.ndim - 1))
  scaled = gradient * _spread(scale_D, gradient)
  mean = jnp.mean(scaled, axis=-1, keepdims=True)
  slope = jnp.mean(scaled * normal, axis=-1, keepdims=True)
  return (
    (inverse * (scaled - mean - normal * slope)).astype(narrow.dtype),
    jnp.sum(gradient * normal, axis=rows),
    jnp.sum(gradient, axis=rows),
  )


def _spread(values_D: Array, like: Array) -> Array:
  return values_D.reshape((1,) * (like.ndim - 1) + values_D.shape)


normalise.defvjp(_normalise_forward, _normalise_backward)


@jax.custom_vjp
def cross_entropy(logits: Array, targets: Array) -> Array:
  """Return −log softmax(logits)[targets], float32, over the last axis.

  The target's logit is picked by comparison: gathers are slow on CPU and do
  not split over a sharded vocabulary.
  """
  return _cross_entropy_forward(logits, targets)[0]


def _cross_entropy_forward(logits: Array, targets: Array) -> tuple[Array, Any]:
  largest = jnp.max(logits, axis=-1)
  # Kept for the way back, where an exponential would be taken twice.
  share = jnp.exp(logits - largest[..., None])
  partition = jnp.sum(share, axis=-1)
  loss = jnp.log(partition) + largest - pick(logits, targets)
  return loss, (share, partition, targets)


def _cross_entropy_backward(kept: Any, gradient: Array) -> tuple[Array, None]:
  share, partition, targets = kept
  slope = share * (gradient / partition)[..., None]
  at_target = jnp.where(_is_target(share, targets), gradient[..., None], 0.0)
  return slope - at_target, None


cross_entropy.defvjp(_cross_entropy_forward, _cross_entropy_backward)


def pick(logits: Array, targets: Array) -> Array:
  """Return logits[targets] along the last axis."""
  return jnp.sum(jnp.where(_is_target(logits, targets), logits, 0.0), axis=-1)


def _is_target(logits: Array, targets: Array) -> Array:
  classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
  return classes == targets[..., None]
