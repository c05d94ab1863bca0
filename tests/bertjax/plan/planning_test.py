# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plans from a program's text, without a compiler."""

import dataclasses
from typing import Any

import jax
import pytest

from bertjax.config import (
  SIZES,
  ComputeConfig,
  DataConfig,
  MeshConfig,
  ObjectiveConfig,
  PretrainConfig,
)
from bertjax.config.phases import split_phases
from bertjax.objectives import masking
from bertjax.plan import compiling, counting, planning
from bertjax.plan.hardware.topologies import find
from tests.testing import tpu_plans
from tests.testing.choices import CONFIGS

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

# A loop over two layers, each of which runs a kernel of 64 or of 192 bytes.
TWO_KERNELS = """\
%whole (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  ROOT %n = f32[8]{0} negate(%p)
}

%local (q: f32[24]) -> f32[24] {
  %q = f32[24]{0} parameter(0)
  ROOT %m = f32[24]{0} negate(%q)
}

%body (state: (s32[], f32[8])) -> (s32[], f32[8]) {
  %state = (s32[], f32[8]{0}) parameter(0)
  %is_global = s32[] get-tuple-element(%state), index=0
  %x = f32[8]{0} get-tuple-element(%state), index=1
  %y = f32[8]{0} conditional(%is_global, %x, %x), \
branch_computations={%local, %whole}
  ROOT %next = (s32[], f32[8]{0}) tuple(%is_global, %y)
}

ENTRY %main (a: (s32[], f32[8])) -> (s32[], f32[8]) {
  %a = (s32[], f32[8]{0}) parameter(0)
  ROOT %loop = (s32[], f32[8]{0}) while(%a), body=%body, \
backend_config={"known_trip_count":{"n":"2"}}
}
"""


def add_bounds(config, text, counted):
  plan = tpu_plans.make_phase(notes=())
  return planning.add_bounds(plan, config, V5E, text, counted)


def test_bounds_follow_from_the_text_of_a_program():
  found: Any = add_bounds(CONFIG, TEXT, None)
  assert found.work.products_flops == 2 * 8 * 16 * 32
  (row,) = found.collectives
  # The bytes of a reduction are those of its operands.
  assert (row.kind, row.bytes, row.group) == ("all-reduce", 2048, 8)
  formula = counting.formula_flops(CONFIG) / 8
  mfu = formula / (found.time.step * V5E.chip.peak_flops)
  assert found.time.mfu == pytest.approx(mfu)


def test_only_real_targets_are_the_work_of_the_model():
  """A row has slots for examples of any length; empty ones are no work."""
  data = dataclasses.replace(CONFIG.data, max_packs=16)
  packed = dataclasses.replace(CONFIG, data=data)
  # Sixteen examples of eight tokens, with one masked token each.
  assert counting.full_targets(packed) == 16
  assert masking.num_slots(128, 16, 0.15) > 16
  assert counting.full_targets(CONFIG) == masking.num_slots(128, 1, 0.15)


def test_without_a_text_the_count_is_used_and_collectives_are_unknown():
  found = add_bounds(CONFIG, None, (197e12, 819e9))
  assert found.collectives is None
  assert found.time.compute == found.time.memory == 1
  assert found.work.products_ratio is None


@pytest.mark.parametrize(
  ("before", "words"),
  [
    (
      "%f (p: f32[]) -> f32[] {\n  ROOT %p = f32[] parameter(0)\n}\n\n",
      "not reached",
    ),
    ("", "iterations of 1 loops is not"),
  ],
)
def test_a_note_says_what_a_count_leaves_out(before, words):
  text = before + TEXT
  if not before:
    loop = "  %w = f32[] while(%a), condition=%main, body=%main\n  ROOT"
    text = text.replace("  ROOT", loop)
  (note,) = add_bounds(CONFIG, text, None).notes
  assert words in note


@pytest.mark.parametrize("count", [True, False])
def test_a_compiler_that_reports_nothing_is_asked_once_and_memory_is_left(
  monkeypatch, count
):
  asked = []
  executable = compiling.Executable(1.0, compiling.CompilerMemory(100, 7, None))
  monkeypatch.setattr(planning, "get_devices", lambda _: jax.devices()[:8])
  for name in ("compile_step", "compile_evaluation"):
    monkeypatch.setattr(planning.compiling, name, lambda *_: executable)
  monkeypatch.setattr(
    planning.counting, "count_unrolled", lambda *_: asked.append(1)
  )
  plan = planning.make_plan(CONFIG, split_phases(CONFIG), V5E, count=count)
  assert len(asked) == 1
  (phase,) = plan.phases
  assert phase.memory.fits
  assert (phase.work, phase.collectives, phase.time) == (None, None, None)
  assert "memory is all that is known" in phase.notes[-1]
  assert plan.run is None


def test_a_note_says_that_a_count_of_micro_batches_is_too_large():
  optimizer = dataclasses.replace(CONFIG.optimizer, accumulation=2)
  parts = dataclasses.replace(CONFIG, optimizer=optimizer)
  count = (197e12, 819e9)
  (note,) = add_bounds(parts, TEXT, count).notes
  assert "each of 2 micro-batches" in note
  assert not add_bounds(parts, TEXT, None).notes
  assert not add_bounds(CONFIG, TEXT, count).notes


def test_a_layer_with_windows_counts_the_kernel_that_it_runs():
  """Layer 0 of two attends to everything; a note tells of the other count."""
  model = dataclasses.replace(
    CONFIG.model, attention_pattern="window", attention_window=16
  )
  plain = dataclasses.replace(CONFIG, model=model)
  compute = dataclasses.replace(CONFIG.compute, attention="splash")
  kernel = dataclasses.replace(plain, compute=compute)
  count = (197e12, 819e9)
  both, one = (
    add_bounds(config, TWO_KERNELS, count) for config in (plain, kernel)
  )
  assert both.work.hbm_bytes == 2 * (64 + 192)
  assert one.work.hbm_bytes == 64 + 192
  (note,) = one.notes
  assert "one of two attention kernels" in note
  assert not both.notes
  assert not add_bounds(kernel, TEXT, None).notes


def test_kernels_count_by_the_formula():
  kernel = (
    '  %k = f32[8]{0} custom-call(%a), custom_call_target="tpu_custom_call"\n'
  )
  text = TEXT.replace("  ROOT", kernel + "  ROOT")
  found = add_bounds(CONFIG, text, (1000.0, 1.0)).work
  hidden = counting.attention_flops(CONFIG) / 8
  # 4·s²·h forward, three times that in all, two layers, two rows a device.
  assert hidden == 3 * 4 * 128**2 * 128 * 2 * 2
  assert found.kernels
  assert found.products_flops == 2 * 8 * 16 * 32 + hidden
  assert found.counted_flops == 1000 + hidden


def parameters_of(model):
  """Count the parameters of a model with its heads by its shape."""
  vocab, width = model.vocab_size, model.hidden_size
  inner = model.intermediate_size
  if model.layer_groups:  # ALBERT: one layer, and narrow embeddings
    narrow = model.embedding_size
    tables = vocab + model.max_positions + model.type_vocab_size
    embeddings = tables * narrow + 2 * narrow + narrow * width + width
    attention = 4 * (width * width + width) + 2 * width
    layer = attention + 2 * width * inner + inner + width + 2 * width
    words = width * narrow + narrow + 2 * narrow + vocab
    pairs = (width * width + width) + (2 * width + 2)
    return embeddings + layer + words + pairs
  # ModernBERT: no biases but that of words, and gated layers.
  layer = 4 * width * width + 3 * width * inner + 2 * width
  words = width * width + width + vocab
  return vocab * width + width + model.num_layers * layer + width + words


@pytest.mark.full
@pytest.mark.parametrize("name", ["albert", "modernbert"])
def test_a_family_is_planned_with_the_memory_of_its_shape(name, monkeypatch):
  """With shared layers, and with windows; compiled for this CPU."""
  monkeypatch.setattr(planning, "get_devices", lambda _: jax.devices()[:1])
  model = dataclasses.replace(CONFIGS[name], vocab_size=128)
  config = dataclasses.replace(
    CONFIG,
    model=model,
    batch_size=4,
    data=DataConfig(seq_length=32, max_packs=1),
    objective=ObjectiveConfig(next_sentence="sop" if model.pooler else "off"),
    compute=ComputeConfig(attention="xla"),
    mesh=MeshConfig(data=1),
  )
  plan = planning.make_plan(config, split_phases(config), V5E, count=False)
  assert plan.parameters == parameters_of(model)
  (phase,) = plan.phases
  for use in (phase.memory, phase.evaluation):
    assert use.fits
    assert sum(use.by_kind.values()) == use.needed
    assert use.by_kind["parameters"] == 4 * plan.parameters
    # Two moments of each parameter, and a few counts.
    counts = use.by_kind["optimizer"] - 8 * plan.parameters
    assert 0 <= counts < 100
