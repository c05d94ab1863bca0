# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is counted is what a train step keeps between its passes."""

import jax
import pytest

from benchmarks import attention_lengths


@pytest.mark.parametrize("length", [128, 512])
def test_the_backward_pass_needs_the_weights_of_all_pairs(length):
  run, shapes = attention_lengths.forward_pass("xla", length)
  context, back = jax.eval_shape(run, *shapes)
  pairs = attention_lengths.POSITIONS * attention_lengths.HEADS * length
  assert context.size == attention_lengths.POSITIONS * 16 * 64
  assert max(leaf.size for leaf in jax.tree.leaves(back)) == pairs
