# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of what a profile says of operations."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks import operations
from tests.testing.commands import run_command

LAYER = "jit(step)/BertForPreTraining.encode/encoder/while/body/layers"


@pytest.mark.parametrize(
  ("kind", "name", "row"),
  [
    (
      "fusion",
      f"{LAYER}/attention/attention._project/key/dot_general",
      "products: projections of attention",
    ),
    (
      "dot",
      f"{LAYER}/attention/attention._attend/BHTS,BTHK->BSHK/dot_general",
      "products: attention within rows",
    ),
    (
      "multiply_erf_fusion",
      f"{LAYER}/layers._feed_forward/erf",
      "others: projections of the feed-forward",
    ),
    (
      "bitcast_dynamic-update-slice_fusion",
      "jit(step)/BertForPreTraining.encode/encoder/while/body/"
      "jit(dynamic_update_index_in_dim)/dynamic_update_slice",
      "others: states kept by the loop",
    ),
    ("copy", "", "copies: optimizer and the rest"),
    ("multiply_add_fusion", "jit(step)/add", "others: optimizer and the rest"),
  ],
)
def test_an_operation_is_put_where_it_belongs(kind, name, row):
  assert operations.part_of(kind, name) == row


def test_a_loop_is_counted_by_what_is_in_it():
  events = [
    {"ph": "X", "dur": 5.0, "args": {"hlo_op": "while.1"}},
    {"ph": "X", "dur": 2.0, "args": {"hlo_op": "dot.3"}},
    {"ph": "X", "dur": 3.0, "args": {"hlo_op": "dot.3"}},
    {"ph": "M", "name": "a thread"},
    {"ph": "X", "dur": 9.0, "name": "of the host"},
  ]
  names = {"dot.3": f"{LAYER}/attention/out/dot_general"}
  rows = operations.add_up(events, names)
  assert rows == {"products: projections of attention": 5.0}


def test_a_trace_of_a_program_has_its_products(tmp_path):
  @jax.jit
  def program(left, right):
    with jax.named_scope("mlm_head"):
      return jnp.sin(left) @ right

  arrays = (jnp.ones((256, 256)), jnp.ones((256, 256)))
  compiled = program.lower(*arrays).compile()
  compiled(*arrays).block_until_ready()
  with jax.profiler.trace(tmp_path):
    compiled(*arrays).block_until_ready()
  names = operations.names_of(compiled.as_text() or "")
  rows = operations.add_up(operations.read_trace(str(tmp_path)), names)
  assert rows["products: masked-LM head"] > 0


def profile(*arguments):
  """Return the first line of a profile, and the percent of each row."""
  result = run_command(
    "benchmarks.step_profile",
    *("--size=tiny", "--vocab_size=1000", *arguments),
  )
  assert result.returncode == 0, result.stderr
  first, *rows = result.stdout.splitlines()
  shares = {
    row.split("%  ")[1]: float(row.split()[2].strip("%")) for row in rows
  }
  assert abs(sum(shares.values()) - 100) < 1
  for part in ("projections of attention", "projections of the feed-forward"):
    assert shares[f"products: {part}"] > 0
  return first, shares


@pytest.mark.full
def test_a_step_is_divided_into_its_parts():
  first, shares = profile()
  assert first.startswith("BERT-tiny, 8 × 128, float32: ")
  assert shares["products: masked-LM head"] > 0
  assert shares["others: optimizer and the rest"] > 0


@pytest.mark.full
def test_a_forward_pass_has_neither_a_head_nor_an_optimizer():
  _, shares = profile("--inference")
  assert not [part for part in shares if "masked-LM head" in part]
  assert shares["others: attention within rows"] > 0
