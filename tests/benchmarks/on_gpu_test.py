# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The jobs for a GPU run at tiny sizes, so that a card's minutes suffice."""

import json
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import steps
from benchmarks.on_gpu import __main__ as on_gpu
from benchmarks.on_gpu import (
  ahead_of_time,
  attention,
  attention_dropout,
  queries_first,
  table,
  training,
)
from benchmarks.on_gpu.scale import SCALES
from bertjax.model.ops import dot_product

TINY = SCALES["tiny"]
JOBS = (
  "limits",
  "attention",
  "attention dropout",
  "learning",
  "optimizers",
  "inference",
  "fine-tuning",
)
# Of each kind of variant one.
STEPS = (
  "tiny-modernbert-32: as published, rbg",
  "tiny-32: xla, no dropout",
  "tiny-32: as published, threefry",
  "tiny-32: queries × keys",
  "tiny-32: remat of dots",
  "tiny-32: muon",
  "tiny-32: float32",
)


def test_rows_are_packed_as_wikipedia_is():
  lengths = steps.mixed_rows(400, 512)
  flat = np.array([each for row in lengths for each in row])
  assert all(sum(row) == 512 for row in lengths)
  assert np.mean(flat == 512) == pytest.approx(0.25)
  assert flat.mean() == pytest.approx(256)
  assert np.mean(flat**2) == pytest.approx(98_826, rel=0.05)


def test_a_batch_of_packed_rows_is_what_a_step_takes():
  batch = steps.make_batch(100, 32, [[32], [10, 22], [5, 5, 22]])
  assert batch["starts_BR"].tolist() == [[0, 0, 0], [0, 10, 0], [0, 5, 10]]
  assert (batch["packs_BS"] > 0).all()
  assert (batch["pair_label_BR"] >= 0).sum() == 6
  for row, examples in enumerate(([32], [10, 22], [5, 5, 22])):
    for start, length in zip(batch["starts_BR"][row], examples, strict=False):
      assert batch["tokens_BS"][row, start] == 2
      assert batch["tokens_BS"][row, start + length - 1] == 3


@pytest.fixture(scope="module")
def found(tmp_path_factory):
  """Run one job of each kind, and one that fails."""
  folder = tmp_path_factory.mktemp("card")
  jobs = {job.name: job for job in on_gpu.make_jobs(TINY)}
  broken = on_gpu.Job("broken", 0, lambda _: [][0])
  chosen = [broken, *(jobs[name] for name in (*JOBS, *STEPS, "batches"))]
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(on_gpu, "make_jobs", lambda _: chosen)
    results = on_gpu.measure("tiny", 5, folder)
  return folder, results["jobs"]


@pytest.mark.full
def test_a_job_that_fails_leaves_the_others(found):
  _, jobs = found
  assert jobs["broken"]["error"].startswith("IndexError: ")
  assert "error" not in jobs["limits"]
  assert jobs["limits"]["copy_gbytes_per_s"] > 0


@pytest.mark.full
def test_results_are_written(found):
  folder, jobs = found
  assert json.loads((folder / "cpu.json").read_text())["jobs"].keys() == (
    jobs.keys()
  )
  page = (folder / "cpu.md").read_text()
  assert all(f"| {name} " in page for name in (*STEPS, "batches"))
  assert all(f"\n{name}:" in page for name in JOBS)


@pytest.mark.full
def test_kernels_are_compared_with_float32(found):
  _, jobs = found
  ways = jobs["attention"]["32"]
  bounds = {
    "plain": 0.03,
    "plain, queries × keys": 0.03,
    "plain, float32": 1e-5,
  }
  assert ways.keys() == bounds.keys()
  for name, way in ways.items():
    errors = [way[each] for each in way if each.startswith("error_")]
    assert len(errors) == 4
    assert all(error < bounds[name] for error in errors)
    assert way["ms_forward"] > 0
    assert way["ms_forward_and_backward"] > 0
  assert ways["plain"]["error_forward"] > 0
  assert jobs["attention"]["kernels"] == "none for cpu: the plain path alone"


@pytest.mark.full
def test_a_kernel_with_dropout_is_measured_where_it_is_exact(found):
  _, jobs = found
  dropout = jobs["attention dropout"]
  assert 0 < dropout["difference_float32"] < 1e-5, dropout
  assert 0 < dropout["difference_bfloat16"] < 2e-2
  for name in ("plain", "flash, uint16", "flash, uint8"):
    assert dropout[name]["ms_forward"] > 0
    assert dropout[name]["ms_forward_and_backward"] > 0


@pytest.mark.parametrize("wrong", [1e-3, float("nan")])
def test_a_kernel_that_is_wrong_is_not_measured(monkeypatch, wrong):
  """Alone or in a step; neither is begun."""
  found = {"difference_float32": wrong, "difference_bfloat16": 1e-3}
  monkeypatch.setattr(attention_dropout, "find_differences", lambda _: found)
  step = attention_dropout.measure_step(TINY.workloads[0], training.FLASH, TINY)
  assert step.keys() == {"error"}
  assert step["error"].startswith("flash is not the plain path under the same")
  alone = attention_dropout.measure_dropout(TINY)
  assert alone == {**found, **step}


@pytest.mark.full
def test_a_run_learns(found):
  _, jobs = found
  assert jobs["learning"]["learns"], jobs["learning"]


@pytest.mark.full
def test_steps_are_counted_in_real_tokens(found):
  _, jobs = found
  sizes = [each["rows"] for each in jobs["batches"]]
  assert sizes == [8, 16]
  for each in (*jobs["batches"], *(jobs[name] for name in STEPS)):
    tokens = each["rows"] * TINY.workloads[0].seq_length
    assert each["packing"] == 1
    assert each["finite"]
    assert each["real_tokens_per_s"] == pytest.approx(
      tokens / (each["ms"] / 1e3)
    )


@pytest.mark.full
def test_a_step_of_fine_tuning_is_measured(found):
  _, jobs = found
  assert jobs["fine-tuning"]["finite"], jobs["fine-tuning"]
  assert jobs["fine-tuning"]["examples_per_s"] > 0


@pytest.mark.full
def test_optimizers_are_counted_in_bytes(found):
  _, jobs = found
  assert {"adamw", "lamb", "muon"} <= jobs["optimizers"].keys()


def test_a_kernel_that_the_platform_lacks_is_an_error_in_one_line():
  workload = TINY.workloads[0]
  found = training.measure_step(workload, training.CUDNN, 4, 0.01)
  assert "\n" not in found["error"]


def test_the_most_valuable_jobs_fit_into_six_minutes():
  jobs = on_gpu.make_jobs(SCALES["card"])
  names = [job.name for job in on_gpu.fitting(jobs, 6)]
  assert names == [job.name for job in jobs[: len(names)]]
  assert {
    "limits",
    "attention",
    "learning",
    "inference",
    "fine-tuning",
    "large-512: as published, rbg",
    "large-512: cudnn, no attention dropout",
    "attention dropout",
    "large-512: flash, attention dropout",
    "base-128: as published, rbg",
    "modernbert-base-512: as published, rbg",
    "large-512: Hugging Face in PyTorch",
  } <= set(names)
  assert on_gpu.fitting(jobs, 0) == []


def test_cudnn_takes_even_lengths_and_says_why_not_odd_ones():
  lengths = SCALES["card"].lengths
  model = SCALES["card"].workloads[0].model
  refused = {
    length: attention.refusal("cudnn", model, "gpu", length)
    for length in lengths
  }
  assert {length for length in lengths if refused[length]} == {131}
  assert "works on an even number of positions" in refused[131]


@pytest.mark.parametrize(
  ("platform", "words"),
  [
    ("gpu", "splash is for TPUs, and jax .* has .*ops.gpu.attention for GPUs"),
    ("tpu", "splash and flash, beside"),
  ],
)
def test_a_line_says_which_kernels_there_are(monkeypatch, platform, words):
  device = types.SimpleNamespace(platform=platform)
  monkeypatch.setattr(jax, "devices", lambda: [device])
  assert re.search(words, attention.describe_kernels())


@pytest.mark.full
def test_the_kernel_of_triton_has_a_backward_pass():
  kernel = attention.triton()
  assert kernel is not None
  way = attention.Way("triton", kernel)
  draws = jax.ShapeDtypeStruct((4, 2, 256, 2, 64), jnp.bfloat16)
  packs_BS = jax.ShapeDtypeStruct((2, 256), jnp.int32)
  traced = jax.jit(attention.outputs, static_argnums=0).trace(
    way, draws, packs_BS
  )
  # Forward, its sums for the backward pass, and all three gradients.
  assert str(traced.jaxpr).count("pallas_call[") == 3


@pytest.mark.full
def test_kernels_are_lowered_forward_and_backward():
  names = [kernel.name for kernel in ahead_of_time.lower()]
  for width, dtype in ahead_of_time._SIZES:
    of = f"heads of {width}, {dtype}: "
    flash = {f"{of}flash_{each}" for each in ("forward", "query", "key")}
    assert flash <= set(names)
  assert len(names) == 3 * len(ahead_of_time._SIZES) + 3


def test_kernels_of_another_jax_are_not_compiled(monkeypatch):
  monkeypatch.setattr(ahead_of_time.metadata, "version", lambda _: "0.12.0")
  with pytest.raises(
    SystemExit, match=r"jax 0.12.0 is .*pip install .*0.10.2$"
  ):
    ahead_of_time.main([])


def test_the_instructions_of_a_kernel_are_counted():
  ptx = """
.visible .entry any(.param .u64 a)
{
  .reg .b32 %r<2>;
  add.s32 %r1, %r2, 1;
  @%p1 bra $L2;
  @%p2 xor.b32 %r1, %r2, 1;
  shf.l.wrap.b32 %r1, %r2, %r2, 13;
  add.s64 %rd1, %rd2, %rd3;
  or.pred %p1, %p2, %p3;
  add.rn.f32 %f1, %f2, %f3;
  mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}, {%r1}, {%f2};
}
"""
  assert ahead_of_time.describe(ptx) == (
    "8 instructions, of which 3 on 32-bit integers and 1 products"
  )


@pytest.mark.full
def test_a_step_attends_in_the_order_that_is_asked_for(monkeypatch):
  def attend(*_):
    raise ZeroDivisionError

  monkeypatch.setattr(queries_first, "attend", attend)
  (workload, *_), steps_of = TINY.workloads, training.measure_step
  found = {
    each.name: steps_of(workload, each, 4, 0.01)
    for each in (training.QUERIES_FIRST, training.PUBLISHED)
  }
  assert found["queries × keys"]["error"].startswith("ZeroDivisionError")
  assert "error" not in found[training.PUBLISHED.name]


@pytest.mark.full
def test_both_orders_of_pairs_attend_alike():
  draw = np.random.default_rng(1)
  query, key, value, slope = (
    draw.standard_normal((2, 6, 2, 4)).astype(np.float32) for _ in range(4)
  )
  packs = np.array([[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 1, 1]], np.int32)
  bits = draw.integers(0, 2**16, (2, 2, 6, 6)).astype(np.uint16)
  near = np.abs(np.subtract.outer(np.arange(6), np.arange(6))) <= 3
  found = []
  for attend, drawn in (
    (dot_product.attend, bits),
    (queries_first.attend, bits.swapaxes(2, 3)),
  ):
    context, backward = jax.vjp(
      lambda *qkv, attend=attend, drawn=drawn: attend(
        *qkv, packs, drawn, 0.25, near
      ),
      *(query, key, value),
    )
    found.append((context, *backward(slope)))
  for left, right in zip(*found, strict=True):
    assert np.abs(left).max() > 0.1
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-6)


def test_a_peak_is_told_where_a_step_has_set_it(monkeypatch):
  monkeypatch.setattr(training, "_peak", lambda: 70)
  assert training._new_peak(69) == 70
  assert training._new_peak(70) is None


def test_no_job_starts_without_time(tmp_path, monkeypatch):
  monkeypatch.setitem(SCALES, "card", TINY)
  results = on_gpu.measure("card", 0, tmp_path)
  assert all("not run" in each for each in results["jobs"].values())
  assert table.render(results)
