# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Elements of tuples, in both forms of their text."""

from bertjax.plan.hlo import parsing
from bertjax.plan.hlo.parsing import Array
from tests.testing.hlo import entry


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
  # References to another computation's tuple, or beyond its end, are kept.
  text = "%f (t: f32[]) -> f32[] {\n  %x = (f32[2]) tuple()\n}\n"
  text += "ENTRY %main () -> f32[] {\n  %y = f32[] add(%x#0, %t#9)\n}\n"
  assert [e.name for e in parsing.parse(text).computations["main"]] == ["y"]
