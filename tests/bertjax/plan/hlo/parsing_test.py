# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Programs read as text: lines as compilers print them, and a whole one."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh, PartitionSpec

from bertjax.plan.hlo import collectives, parsing, products
from bertjax.plan.hlo.parsing import Array

LOOP = """\
HloModule jit_step, is_scheduled=true

%body (param: (s32[], f32[4])) -> (s32[], f32[4]) {
  %param = (s32[], f32[4]{0:T(128)}) parameter(0)
  %gte = f32[4]{0} get-tuple-element(%param), index=1
  ROOT %tuple = (s32[], f32[4]{0}) tuple(%param, %gte)
}

%condition (param.1: (s32[], f32[4])) -> pred[] {
  %limit = s32[]{:T(128)} constant(24), metadata={op_name="jit(f)"}
  %param.1 = (s32[], f32[4]{0:T(128)}) parameter(0)
  %counter = s32[]{:T(128)} get-tuple-element(%param.1), index=0
  ROOT %lt.1 = pred[]{:T(512)} compare(%counter, %limit), direction=LT
}

ENTRY %main (a: (s32[], f32[4])) -> (s32[], f32[4]) {
  %a = (s32[], f32[4]{0}) parameter(0)
  ROOT %loop = (s32[], f32[4]{0}) while(%a), condition=%condition, body=%body
}
"""


def entry(*lines: str) -> parsing.Module:
  """A program of these instructions alone."""
  text = "ENTRY %main () -> f32[] {\n  " + "\n  ".join(lines) + "\n}\n"
  return parsing.parse(text)


@pytest.mark.parametrize(
  ("kind", "arrays", "size"),
  [
    ("bf16[24,1024]{1,0:T(8,128)(2,1)}", (Array("bf16", (24, 1024)),), 49152),
    ("f32[]{:T(128)}", (Array("f32", ()),), 4),
    ("pred[3]{0:S(1)}", (Array("pred", (3,), 1),), 3),
    ("(f32[2]{0}, s4[3])", (Array("f32", (2,)), Array("s4", (3,))), 10),
    ("f8e4m3fn[16]", (Array("f8e4m3fn", (16,)),), 16),
    ("token[]", (Array("token", ()),), 0),
  ],
)
def test_types_are_read_with_their_bytes_and_memory(kind, arrays, size):
  assert parsing.arrays(kind) == arrays
  assert sum(array.bytes for array in arrays) == size


def test_a_loop_runs_as_often_as_its_condition_says():
  module = parsing.parse(LOOP)
  assert module.entry == "main"
  assert module.runs["main"] == (1, False)
  assert module.runs["body"] == (24, True)
  known = LOOP.replace(
    "body=%body", 'body=%body, backend_config={"known_trip_count":{"n":"7"}}'
  )
  assert parsing.parse(known).runs["body"] == (7, True)
  unknown = parsing.parse(LOOP.replace("direction=LT", "direction=NE"))
  assert unknown.runs["body"] == (1, False)
  assert unknown.uncounted == ("loop",)
  assert not module.uncounted


def test_a_loop_may_carry_its_limit_along():
  text = LOOP.replace(
    "%limit = s32[]{:T(128)} constant(24)",
    "%limit = s32[]{:T(128)} get-tuple-element(%param.1), index=1",
  ).replace(
    "  ROOT %loop = ",
    "  %zero = s32[] constant(0)\n  %twelve = s32[] constant(12)\n"
    "  %copied = s32[]{:S(6)} copy(%twelve)\n"
    "  %a.1 = (s32[], s32[]) tuple(%zero, %copied)\n  ROOT %loop = ",
  )
  text = text.replace("while(%a)", "while(%a.1)")
  assert parsing.parse(text).runs["body"] == (12, True)


def test_an_instruction_may_go_over_several_lines():
  module = entry(
    "%a = f32[8,16]{1,0} parameter(0)",
    "%b = f32[16,32]{1,0} parameter(1)",
    '%k = f32[8] custom-call(%a), custom_call_target="tpu_custom_call", '
    'frontend_attributes={kernel_metadata={\n"name": "{8}"\n}}, metadata={}',
    "%c = f32[8,32]{1,0} convolution(%a, %b), dim_labels=bf_io->bf",
  )
  names = [each.name for each in module.computations["main"]]
  assert names == ["a", "b", "k", "c"]
  assert products.has_kernels(module)
  assert products.matmul_flops(module) == 2 * 8 * 32 * 16


def test_elements_of_tuples_may_be_named_in_place():
  given = (
    "%t = (f32[2,3]{1,0:T(8,128)(2,1)}, (bf16[4]{0}, s32[]), "
    "/*index=2*/bf16[8]{0:S(1)}) parameter(0)"
  )
  older = entry(
    given,
    "%t.element.2 = bf16[8]{0:S(1)} get-tuple-element(%t), index=2",
    "%t.element.0 = f32[2,3]{1,0:T(8,128)(2,1)} get-tuple-element(%t), index=0",
    "ROOT %a = f32[3]{0} fusion(%t.element.2, %t.element.0, %t.element.2)",
    "%b = bf16[8]{0} copy(%t.element.2)",
  )
  newer = entry(
    given,
    "ROOT %a = f32[3]{0} fusion(%t#2, /*index=1*/%t#0, %t#2)",
    "%b = bf16[8]{0} copy(%t#2)",
  )
  assert newer == older
  inner = entry(given, "%a = s32[] fusion(%t#1)").computations["main"][1]
  assert inner.result == (Array("bf16", (4,)), Array("s32", ()))
  # Of another computation's tuple, and beyond the end: as it stands.
  text = "%f (t: f32[]) -> f32[] {\n  %x = (f32[2]) tuple()\n}\n"
  text += "ENTRY %main () -> f32[] {\n  %y = f32[] add(%x#0, %t#9)\n}\n"
  assert [e.name for e in parsing.parse(text).computations["main"]] == ["y"]


def test_a_text_without_a_program_is_refused():
  with pytest.raises(ValueError, match="no ENTRY"):
    parsing.parse("HloModule nothing")


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


def test_what_a_ring_sends():
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


def test_dtypes_of_one_collective_are_told_apart():
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


def test_a_gathering_beside_a_chain_of_fusions_is_one_that_overlaps():
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


def test_an_all_reduce_that_is_cut_at_once_costs_half():
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


@pytest.mark.parametrize(
  ("line", "flops"),
  [
    (
      "%c = f32[8,32]{1,0} convolution(%a, %b), dim_labels=bf_io->bf",
      2 * 8 * 32 * 16,
    ),
    (
      "%c = f32[8,32]{1,0} dot(%a, %b), lhs_contracting_dims={1}, "
      "rhs_contracting_dims={0}",
      2 * 8 * 32 * 16,
    ),
  ],
)
def test_products_count_twice_their_multiplications(line, flops):
  module = entry(
    "%a = f32[8,16]{1,0} parameter(0)",
    "%b = f32[16,32]{1,0} parameter(1)",
    line,
  )
  assert products.matmul_flops(module) == flops


def test_products_that_a_window_only_pads_with_count_nothing():
  # A product for each of 4 × 6 heads, as TPUs are given it: [4, 6, 8, 16] with
  # [4, 6, 32, 16] over 16.
  module = entry(
    "%a = f32[4,8,6,16]{3,2,1,0} parameter(0)",
    "%b = f32[4,32,6,16]{3,2,1,0} parameter(1)",
    "%c = f32[4,6,8,32]{3,2,1,0} convolution(%a, %b), window={size=4x6 "
    "stride=3x5 lhs_dilate=4x6}, dim_labels=0b1f_0o1i->01bf",
  )
  assert products.matmul_flops(module) == 2 * 4 * 6 * 8 * 32 * 16


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
  # Eight rows of a device, each of 16 numbers of 4 bytes.
  assert found[0].bytes == 8 * 16 * 4
  assert found[0].group == 4
  assert products.matmul_flops(module) == 5 * 2 * 8 * 16 * 16
