# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from bertjax.train import memory


@pytest.mark.parametrize(
  ("message", "needed"),
  [
    (
      "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required "
      "for HLO temporaries (30.88G) exceeds available HBM (15.75G).",
      30.88 * 2**30,
    ),
    ("XLA:TPU compile permanent error. Used 26.9G of 15.75G hbm", 26.9 * 2**30),
    ("RESOURCE_EXHAUSTED: of something", math.inf),
    ("INTERNAL: of something", None),
  ],
)
def test_a_compiler_out_of_memory_says_how_much_it_would_use(message, needed):
  assert memory.find_needed(message) == needed


def test_a_step_is_measured_and_then_called_without_a_second_compile(caplog):
  step = jax.jit(lambda a_N, b_N: a_N + b_N, donate_argnums=0)
  a_N, b_N = jnp.zeros(1_000), jnp.ones(1_000)
  with jax.log_compiles():
    needed = memory.step_bytes(step, a_N, b_N)
    step(a_N, b_N)
  # Two inputs, of which one is the output.
  assert 8_000 <= needed < 9_000
  assert caplog.text.count("Finished XLA compilation") == 1


def refusing(message):
  """A jitted step whose compiler refuses it."""

  def lower(*_):
    raise jax.errors.JaxRuntimeError(message)

  return SimpleNamespace(lower=lower)


def test_a_step_that_the_compiler_refuses_needs_what_it_says():
  text = "RESOURCE_EXHAUSTED: XLA:TPU compile error. Used 20.5G of 15.75G hbm"
  assert memory.step_bytes(refusing(text)) == 20.5 * 2**30
  for text in ("INTERNAL: of something", "RESOURCE_EXHAUSTED: of something"):
    with pytest.raises(jax.errors.JaxRuntimeError, match="of something"):
      memory.step_bytes(refusing(text))
