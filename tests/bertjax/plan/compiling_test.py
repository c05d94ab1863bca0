# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled steps whose answers are made up, and messages of the compiler."""

from bertjax.plan import compiling

TEXT = "ENTRY %main () -> f32[] {}"


class Compiled:
  """What a compiler returns, some of whose answers fail."""

  def __init__(self, texts, cost):
    self._texts, self._cost = list(texts), cost

  def as_text(self):
    return self._answer(self._texts[0])

  def runtime_executable(self):
    return self

  def hlo_modules(self):
    text = self._answer(self._texts[1])
    return [type("Module", (), {"to_string": lambda self: text})()]

  def cost_analysis(self):
    return self._answer(self._cost)

  def memory_analysis(self):
    names = ("argument", "temp", "output")
    values = {f"{name}_size_in_bytes": 7 for name in names}
    return type("Stats", (), values)()

  @staticmethod
  def _answer(value):
    if isinstance(value, Exception):
      raise value
    return value


def test_what_a_version_cannot_print_is_read_in_another_way_or_noted(tmp_path):
  broken = RuntimeError("RET_CHECK failure\n async-update")
  cost = {"flops": 5.0, "bytes accessed": 6.0, "optimal_seconds": -3.0}
  fine = compiling.read(Compiled([TEXT, broken], cost), 1.0)
  assert (fine.text, fine.flops, fine.notes) == (TEXT, 5.0, ())
  other = compiling.read(Compiled([broken, TEXT], cost), 1.0)
  assert (other.text, other.notes) == (TEXT, ())
  (tmp_path / "module_0.step.after_optimizations.txt").write_text(TEXT)
  (tmp_path / "module_0.step.before_optimizations.txt").write_text("no")
  left = compiling.read(Compiled([broken, broken], cost), 1.0, tmp_path)
  assert (left.text, left.notes) == (TEXT, ())
  none = compiling.read(Compiled([broken, broken], broken), 1.0)
  assert (none.text, none.flops, none.memory) == (
    None,
    None,
    compiling.CompilerMemory(7, 7, None),
  )
  assert len(none.notes) == 2
  assert all("RET_CHECK failure async-update" in note for note in none.notes)
