# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""HBM traffic of instructions against sizes worked out by hand."""

import pytest

from bertjax.plan.hlo import parsing, traffic

KB = "f32[256]{0}"


def moved(lines, before=""):
  text = f"{before}ENTRY %main () -> f32[] {{\n"
  return traffic.hbm_bytes(parsing.parse(text + "".join(lines) + "}\n"))


def lines(*instructions):
  return [f"  {each}\n" for each in instructions]


def test_reads_and_writes_count_once_each():
  given = (f"%a = {KB} parameter(0)", f"%b = {KB} parameter(1)")
  assert moved(lines(*given, f"%c = {KB} add(%a, %b)")) == 3 * 1024
  named = (f"%t = ({KB}, {KB}) tuple(%a, %b)", f"%x = {KB} bitcast(%a)")
  assert moved(lines(*given, *named)) == 0


def test_arrays_on_the_chip_are_left_out():
  here = "f32[256]{0:T(256)S(1)}"
  given = (f"%a = {here} parameter(0)", f"%b = {KB} parameter(1)")
  assert moved(lines(*given, f"%c = {here} add(%a, %b)")) == 1024
  copy = f"%s = ({here}, {KB}, u32[]) copy-start(%b)"
  done = f"%d = {here} copy-done(%s)"
  assert moved(lines(*given, copy, done)) == 1024


@pytest.mark.parametrize(
  ("inner", "result", "expected"),
  [
    # A tenth of the array is sliced, and written.
    ("%s = f32[100]{0} dynamic-slice(%p, %i)", "f32[100]{0}", 800),
    # A tenth is updated in place, with a value made inside.
    (
      "%u = f32[100]{0} broadcast(%i), dimensions={}\n"
      "  ROOT %s = f32[1000]{0} dynamic-update-slice(%p, %u, %i)",
      "f32[1000]{0}",
      400,
    ),
    ("%s = f32[1000]{0} negate(%p)", "f32[1000]{0}", 8000),
  ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_only_the_part_of_an_array_that_is_used_counts(
  inner, result, expected, nested
):
  root = inner if "ROOT" in inner else f"ROOT {inner}"
  before = f"%f (p: f32[1000], i: s32[]) -> {result} {{\n"
  before += "  %p = f32[1000]{0} parameter(0)\n"
  before += f"  %i = s32[]{{:S(6)}} parameter(1)\n  {root}\n}}\n\n"
  name = "f"
  if nested and "update" not in inner:
    before += f"%g (p.1: f32[1000], i.1: s32[]) -> {result} {{\n"
    before += "  %p.1 = f32[1000]{0} parameter(0)\n"
    before += "  %i.1 = s32[]{:S(6)} parameter(1)\n"
    before += f"  ROOT %x = {result} fusion(%p.1, %i.1), calls=%f\n}}\n\n"
    name = "g"
  instructions = lines(
    "%a = f32[1000]{0} parameter(0)",
    "%n = s32[]{:S(6)} parameter(1)",
    f"ROOT %y = {result} fusion(%a, %n), kind=kLoop, calls=%{name}",
  )
  assert moved(instructions, before) == expected


def test_another_tiling_in_place_moves_nothing():
  view = "%v (x: f32[1000]) -> f32[1000] {\n  %x = f32[1000]{0} parameter(0)\n"
  view += "  ROOT %c = f32[1000]{0:T(8)} copy(%x)\n}\n\n"
  alias = ", output_to_operand_aliasing={{}: (0, {})}"
  found = []
  for attributes in (alias, ""):
    before = view + "%f (p: f32[1000], i: s32[]) -> f32[100] {\n"
    before += "  %p = f32[1000]{0} parameter(0)\n"
    before += "  %i = s32[]{:S(6)} parameter(1)\n"
    before += f"  %t = f32[1000]{{0}} fusion(%p){attributes}, calls=%v\n"
    before += "  ROOT %s = f32[100]{0} dynamic-slice(%t, %i)\n}\n\n"
    instructions = lines(
      "%a = f32[1000]{0} parameter(0)",
      "%n = s32[]{:S(6)} parameter(1)",
      "ROOT %y = f32[100]{0} fusion(%a, %n), kind=kLoop, calls=%f",
    )
    found.append(moved(instructions, before))
  assert found == [400 + 400, 4000 + 400]


def test_an_asynchronous_computation_counts_once():
  before = f"%beside (p: f32[256]) -> f32[256] {{\n  %p = {KB} parameter(0)\n"
  before += f"  ROOT %c = {KB} copy(%p)\n}}\n\n"
  instructions = lines(
    f"%a = {KB} parameter(0)",
    f"%s = (({KB}), {KB}, u32[]) async-start(%a), calls=%beside",
    f"%u = (({KB}), {KB}, u32[]) async-update(%s)",
    f"ROOT %d = {KB} async-done(%u)",
  )
  assert moved(instructions, before) == 2 * 1024
