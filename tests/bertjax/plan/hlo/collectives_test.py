# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Collectives as compilers print them, and those of a compiled loop."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh, PartitionSpec

from bertjax.plan.hlo import collectives, parsing, products
from tests.testing.hlo import entry


@pytest.mark.parametrize(
  ("attributes", "size"),
  [
    ("replica_groups={{0,1,2,3},{4,5,6,7}}, x=1", 4),
    ("replica_groups=[32,8]<=[16,16]T(1,0)", 8),
    ("replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_0'}", 4),
    ("replica_groups=mesh['a'=4,'b'=2] {'a', 'b'}", 8),
    ("replica_groups={}, channel_id=1", 16),
    ("channel_id=1", 16),
  ],
)
def test_groups_are_read_in_each_of_their_notations(attributes, size):
  assert collectives.group_size(attributes, 16) == size


def test_bytes_sent_in_a_ring():
  module = entry(
    "%p = f32[1000]{0} parameter(0)",
    "%r = f32[1000]{0} all-reduce(%p), replica_groups={{0,1,2,3}}",
    "%g = f32[4000]{0} all-gather(%p), replica_groups={{0,1,2,3}}",
    "%s = f32[250]{0} reduce-scatter(%p), replica_groups={{0,1,2,3}}",
    "%c = f32[1000]{0} collective-permute(%p), source_target_pairs={{0,1}}",
    "%alone = f32[1000]{0} all-reduce(%p), replica_groups={{0},{1}}",
  )
  found = collectives.find(module, 4)
  assert [(one.kind, one.bytes, one.wire_bytes) for one in found] == [
    ("all-reduce", 4000, 6000),
    ("all-gather", 16000, 12000),
    ("reduce-scatter", 4000, 3000),
    ("collective-permute", 4000, 4000),
  ]
  assert not any(one.overlaps or one.in_loop for one in found)
  rows = collectives.by_kind(found)
  assert [row.kind for row in rows][:2] == ["all-gather", "all-reduce"]
  assert sum(row.wire_bytes for row in rows) == 25000


def test_dtypes_of_one_collective_have_separate_totals():
  module = entry(
    "%p = f32[10]{0} parameter(0)",
    "%q = bf16[10]{0} parameter(1)",
    "%r = (f32[10], bf16[10]) all-reduce(%p, %q), replica_groups={{0,1}}",
  )
  rows = collectives.by_kind(collectives.find(module, 2))
  assert {row.dtype: row.bytes for row in rows} == {"f32": 40, "bf16": 20}
  assert sum(row.wire_bytes for row in rows) == 60


def test_a_start_overlaps_only_what_is_computed_before_its_end():
  start = (
    "%p = f32[8]{0} parameter(0)",
    "%s = (f32[8], f32[8], u32[]) collective-permute-start(%p), channel_id=1",
  )
  work = "%w = f32[8]{0} fusion(%p), kind=kLoop, calls=%none"
  done = "%d = f32[8]{0} collective-permute-done(%s)"
  beside = collectives.find(entry(*start, work, done), 4)
  after = collectives.find(entry(*start, done, work), 4)
  assert [one.overlaps for one in (*beside, *after)] == [True, False]
  assert {one.bytes for one in (*beside, *after)} == {32}


def test_an_all_gather_that_overlaps_a_chain_of_fusions_counts_once():
  chain = {
    "fused_computation.1": "AsyncCollectiveStart",
    "async_collective_fusion.2": "X",
    "fused_computation.3": "AsyncCollectiveDone",
  }
  text = ""
  for name, call in chain.items():
    text += f"%{name} (p: bf16[32]) -> bf16[64] {{\n"
    text += "  %p = bf16[32] parameter(0)\n"
    text += "  %g = bf16[64] all-gather(%p), replica_groups={{0,1}}\n"
    text += "  ROOT %c = bf16[64] custom-call(%g), "
    text += f'custom_call_target="{call}"\n}}\n\n'
  text += "ENTRY %main (p: bf16[32]) -> bf16[64] {\n"
  text += "  %p = bf16[32] parameter(0)\n"
  for name in chain:
    text += f"  %x{name} = bf16[64] fusion(%p), kind=kCustom, calls=%{name}\n"
  text += "}\n"
  (one,) = collectives.find(parsing.parse(text), 2)
  assert (one.kind, one.bytes, one.overlaps) == ("all-gather", 128, True)


def test_an_all_reduce_that_is_sharded_at_once_costs_half():
  text = """\
%all-reduce-scatter (p: f32[100]) -> f32[50] {
  %p = f32[100]{0} parameter(0)
  %r = f32[100]{0} all-reduce(%p), replica_groups={{0,1}}
  ROOT %s = f32[50]{0} slice(%r), slice={[0:50]}
}

ENTRY %main (a: f32[100]) -> f32[50] {
  %a = f32[100]{0} parameter(0)
  ROOT %f = f32[50]{0} fusion(%a), kind=kCustom, calls=%all-reduce-scatter
}
"""
  (one,) = collectives.find(parsing.parse(text), 2)
  assert (one.bytes, one.wire_bytes) == (400, 200)


def test_transfers_between_slices_are_collectives_of_slices():
  module = entry(
    "%p = bf16[100]{0} parameter(0)",
    *(
      f"%s{number} = (bf16[100]{{0}}, u32[], token[]) send(%p, %t), "
      'frontend_attributes={_xla_host_transfer_rendezvous="x",'
      f'_xla_megascale_transfer_type="{kind}"}}'
      for number, kind in enumerate(
        ("ALL_REDUCE", "ALL_GATHER", "REDUCE_SCATTER")
      )
    ),
  )
  found = collectives.find(module, num_devices=4, num_slices=4)
  assert [(one.kind, one.wire_bytes, one.group) for one in found] == [
    ("all-reduce", 300, 4),
    ("all-gather", 600, 4),
    ("reduce-scatter", 150, 4),
  ]
  assert all(one.crosses for one in found)


def test_a_compiled_loop_is_counted_as_often_as_it_runs():
  mesh = Mesh(jax.devices()[:4], ("data",))

  @jax.jit
  @functools.partial(
    jax.shard_map,
    mesh=mesh,
    in_specs=(PartitionSpec("data"), PartitionSpec()),
    out_specs=PartitionSpec("data"),
  )
  def step(x, w):
    def body(x, _):
      total = jax.lax.psum(x @ w, "data")
      return x + jax.lax.pcast(jnp.sin(total), ("data",), to="varying"), None

    return jax.lax.scan(body, x, None, length=5)[0]

  text = step.lower(jnp.ones((32, 16)), jnp.ones((16, 16))).compile().as_text()
  assert text
  module = parsing.parse(text)
  found = collectives.find(module, 4)
  assert [(one.kind, one.times, one.in_loop) for one in found] == [
    ("all-reduce", 5, True)
  ]
  # Eight rows on each device, each of 16 numbers of 4 bytes.
  assert found[0].bytes == 8 * 16 * 4
  assert found[0].group == 4
  assert products.matmul_flops(module) == 5 * 2 * 8 * 16 * 16
