# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Programs as compilers print them."""

from fractions import Fraction

import pytest

from bertjax.plan.hlo import parsing, products
from bertjax.plan.hlo.parsing import Array
from tests.testing.hlo import entry

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


def test_a_loop_may_carry_its_limit_in_its_state():
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


@pytest.mark.parametrize(
  "branches",
  [
    "branch_computations={%local, %whole}",
    "true_computation=%whole, false_computation=%local",
  ],
)
def test_a_branch_runs_as_often_as_its_condition_holds(branches):
  chosen = f"conditional(%gte), {branches}"
  text = LOOP.replace("get-tuple-element(%param), index=1", chosen)
  for name in ("local", "whole"):
    text = text.replace("%body (", f"%{name} () -> f32[] {{\n}}\n\n%body (", 1)

  def runs(share):
    found = parsing.parse(text, share).runs
    return found["whole"].times, found["local"].times

  assert runs(None) == (24, 24)
  assert runs(Fraction(1, 3)) == (8, 16)
  assert runs(Fraction(1, 7)) == (4, 21)  # never too few
  assert runs(Fraction(1)) == (24, 0)


def test_an_instruction_may_span_several_lines():
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


def test_a_text_without_a_program_is_refused():
  with pytest.raises(ValueError, match="no ENTRY"):
    parsing.parse("HloModule nothing")
