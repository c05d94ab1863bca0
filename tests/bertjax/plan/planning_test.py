# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plans without a compiler: what is checked, read, missing, and searched."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from bertjax.config import (
  SIZES,
  DataConfig,
  MeshConfig,
  PhaseConfig,
  PretrainConfig,
)
from bertjax.config.phases import split_phases
from bertjax.parallel.mesh import make_mesh
from bertjax.plan import compiling, counting, memory, planning, search
from bertjax.plan.hardware.topologies import find
from bertjax.train.state import TrainState

CONFIG = PretrainConfig(
  batch_size=16,
  model=dataclasses.replace(SIZES["tiny"], vocab_size=30_592),
  data=DataConfig(max_packs=1),
)
V5E = find("v5e:2x4")
# One product of 8 × 16 × 32 and one all-reduce of 1 MiB.
TEXT = """\
ENTRY %main (a: f32[8,16], b: f32[16,32]) -> f32[8,32] {
  %a = f32[8,16]{1,0} parameter(0)
  %b = f32[16,32]{1,0} parameter(1)
  %g = f32[262144]{0} all-reduce(%b), replica_groups={}
  ROOT %c = f32[8,32]{1,0} convolution(%a, %b), dim_labels=bf_io->bf
}
"""


def test_a_step_is_reckoned_from_its_text():
  found = planning.reckon(CONFIG, V5E, TEXT, None)
  assert found["work"]["products_flops"] == 2 * 8 * 16 * 32
  (row,) = found["collectives"]
  # What is reduced are the operands.
  assert (row["kind"], row["bytes"], row["group"]) == ("all-reduce", 2048, 8)
  formula = counting.formula_flops(CONFIG) / 8
  mfu = formula / (found["time"]["step"] * V5E.chip.peak_flops)
  assert found["time"]["mfu"] == pytest.approx(mfu)


def test_without_a_text_the_compiler_is_asked_and_collectives_are_unknown():
  found = planning.reckon(CONFIG, V5E, None, (197e12, 819e9))
  assert found["collectives"] is None
  assert found["time"]["compute"] == found["time"]["memory"] == 1
  assert found["work"]["products_ratio"] is None


@pytest.mark.parametrize(
  ("before", "words"),
  [
    (
      "%f (p: f32[]) -> f32[] {\n  ROOT %p = f32[] parameter(0)\n}\n\n",
      "under",
    ),
    ("", "passes of 1 loops are not told"),
  ],
)
def test_what_is_not_understood_is_said(before, words):
  text = before + TEXT
  if not before:
    loop = "  %w = f32[] while(%a), condition=%main, body=%main\n  ROOT"
    text = text.replace("  ROOT", loop)
  (note,) = planning.reckon(CONFIG, V5E, text, None)["notes"]
  assert words in note


@pytest.mark.parametrize("count", [True, False])
def test_a_compiler_that_tells_nothing_is_asked_once_and_leaves_memory(
  monkeypatch, count
):
  asked = []
  executable = compiling.Executable(1.0, compiling.Memory(100, 7, None))
  monkeypatch.setattr(planning, "get_devices", lambda _: jax.devices()[:8])
  monkeypatch.setattr(planning.compiling, "compile_step", lambda *_: executable)
  monkeypatch.setattr(
    planning.counting, "count_unrolled", lambda *_: asked.append(1)
  )
  plan = planning.make_plan(CONFIG, split_phases(CONFIG), V5E, count=count)
  assert len(asked) == 1
  (phase,) = plan["phases"]
  assert phase["memory"]["fits"]
  assert not {"work", "time"} & set(phase)
  assert "only memory is known" in phase["notes"][-1]
  assert plan["run"] is None


def test_a_count_of_micro_batches_is_said_to_be_too_large():
  optimizer = dataclasses.replace(CONFIG.optimizer, accumulation=2)
  parts = dataclasses.replace(CONFIG, optimizer=optimizer)
  count = (197e12, 819e9)
  (note,) = planning.reckon(parts, V5E, TEXT, count)["notes"]
  assert "each of 2 micro-batches" in note
  assert not planning.reckon(parts, V5E, TEXT, None)["notes"]
  assert not planning.reckon(CONFIG, V5E, TEXT, count)["notes"]


def test_kernels_count_by_the_formula():
  kernel = (
    '  %k = f32[8]{0} custom-call(%a), custom_call_target="tpu_custom_call"\n'
  )
  text = TEXT.replace("  ROOT", kernel + "  ROOT")
  found = planning.reckon(CONFIG, V5E, text, (1000.0, 1.0))["work"]
  hidden = counting.attention_flops(CONFIG) / 8
  # 4·s²·h forward, three times that in all, two layers, two rows a device.
  assert hidden == 3 * 4 * 128**2 * 128 * 2 * 2
  assert found["kernels"]
  assert found["products_flops"] == 2 * 8 * 16 * 32 + hidden
  assert found["counted_flops"] == 1000 + hidden


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
    compiling.Memory(7, 7, None),
  )
  assert len(none.notes) == 2
  assert all("RET_CHECK failure async-update" in note for note in none.notes)


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
  assert compiling.find_needed(message) == needed


def test_memory_is_told_by_kind():
  mesh = make_mesh(MeshConfig())
  cut = NamedSharding(mesh, PartitionSpec("data"))
  leaf = jax.ShapeDtypeStruct((16, 4), jnp.float32, sharding=cut)
  state = TrainState(step=0, params={"a": leaf}, opt_state=[leaf, leaf])
  given = compiling.Memory(arguments=150, temporaries=1000, peak=900)
  executable = compiling.Executable(1.0, given)
  found = memory.describe(state, {"b": leaf}, executable, V5E)
  # Two rows of four numbers of four bytes on each of eight devices.
  assert found["by_kind"] == {
    "parameters": 32,
    "optimizer": 64,
    "batch": 32,
    "temporaries": 1000,
    "padding": 22,
  }
  assert (found["fits"], found["needed"], found["peak"]) == (True, 900, 900)
  out = compiling.Executable(1.0, None, needed=5000.0)
  found = memory.describe(state, {"b": leaf}, out, V5E)
  assert (found["fits"], found["needed"]) == (False, 5128)
  unknown = compiling.Executable(1.0, None, needed=math.inf)
  assert memory.describe(state, {}, unknown, V5E)["needed"] is None


@pytest.mark.parametrize("fixed", [0, 30, 300])
@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("slope", [1, 7, 45, 300, 600])
def test_a_search_finds_the_largest_batch_that_fits(fixed, told, slope):
  tried = []

  def attempt(rows):
    tried.append(rows)
    needed = fixed + slope * rows
    fits = needed <= 1000
    return {
      "fits": fits,
      "needed": needed if fits or told else None,
      "limit": 1000,
      "rows": rows,
    }

  found = search.largest(attempt, 4)
  most = (1000 - fixed) // slope
  most = most // 2 * 2 if most >= 8 else most
  assert len(tried) <= 7
  assert len(set(tried)) == len(tried)
  if most < 1:
    assert not found["fits"]
  else:
    assert found["rows"] == most


def test_a_search_tries_what_divides_the_mesh():
  tried = [(name, remat) for name, _, remat in search.candidates(CONFIG, V5E)]
  assert ("tensor=2", "none") in tried
  assert [remat for name, remat in tried if name == "zero1"] == [
    *("none", "attention", "dots", "full"),
  ]
  model = dataclasses.replace(CONFIG.model, num_heads=1)
  odd = dataclasses.replace(CONFIG, model=model)
  assert "tensor=2" not in [name for name, *_ in search.candidates(odd, V5E)]


def test_a_search_is_for_the_last_phase():
  config = dataclasses.replace(
    CONFIG, phase2=PhaseConfig(steps=10, seq_length=512, max_packs=2)
  )
  smallest = search.smallest_run(config, V5E)
  assert smallest.data.seq_length == 512
  assert smallest.phase2 == PhaseConfig()
  assert smallest.batch_size == 8
