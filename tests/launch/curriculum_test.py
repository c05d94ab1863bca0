# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Two phases in one run: short rows first, then long ones."""

import dataclasses
import itertools
import pathlib

import numpy as np
import pytest

from bertjax.checkpoints import bundle
from bertjax.objectives import masking
from bertjax.train import hooks, writers
from launch import cli, pretrain
from launch.run import assembly
from tests.testing.interrupted import pretrain_until

# Phases are of rows and of time; launch/preflight/memory_test.py compiles the
# same steps for a mesh.
pytestmark = pytest.mark.usefixtures("one_device")
STEPS, BORDER = 9, 5


@pytest.fixture(scope="module")
def config(two_phases):
  return two_phases


@pytest.fixture(scope="module")
def finished(config, one_device, shared_programs, tmp_path_factory):
  """A run that nothing stopped, and the shapes that it was traced for."""
  del one_device, shared_programs
  shapes = []
  real = masking.mask_tokens

  def mask_tokens(features, *arguments, **named):
    shapes.append(features["tokens_BS"].shape)
    return real(features, *arguments, **named)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(masking, "mask_tokens", mask_tokens)
    result = pretrain.run(config, str(tmp_path_factory.mktemp("run") / "w"))
  return result, shapes


def train_lines(result):
  return writers.read(pathlib.Path(result.workdir) / writers.METRICS, "train")


def test_each_phase_compiles_its_step_once(finished):
  """And its evaluation once, on rows of the same length."""
  _, shapes = finished
  assert shapes == [(16, 24), (16, 24), (8, 32), (8, 32)]


def test_each_phase_has_its_own_schedule(finished):
  lines = train_lines(finished[0])
  # A line is the mean of its steps; the border ends one.
  assert [line["step"] for line in lines] == [2, 4, 5, 6, 8, 9]
  first = [1e-2 * (k / 2 if k < 2 else 1 - k / BORDER) for k in range(BORDER)]
  left = STEPS - BORDER
  second = [4e-3 * (k if k < 1 else 1 - k / left) for k in range(left)]
  rates, at = first + second, 0
  for line in lines:
    expected = np.mean(rates[at : line["step"]])
    assert line["learning_rate"] == pytest.approx(expected, rel=1e-5)
    at = line["step"]


def test_tokens_are_those_of_both_lengths(finished, config):
  parts = assembly.assemble(config)
  short, long = parts.phases
  batches = [
    *(short.pipeline.batch(step) for step in range(BORDER)),
    *(long.pipeline.batch(step) for step in range(STEPS - BORDER)),
  ]
  tokens = sum(int((batch["packs_BS"] > 0).sum()) for batch in batches)
  assert finished[0].tokens == tokens
  assert batches[-1]["tokens_BS"].shape == (8, 32)


def ends_as_unbroken(finished, workdir, again):
  whole = finished[0]
  assert (
    bundle.read_bundle_info(again.bundle).leaves
    == bundle.read_bundle_info(whole.bundle).leaves
  )
  left = pathlib.Path(whole.workdir) / writers.METRICS
  assert (workdir / writers.METRICS).read_bytes() == left.read_bytes()


@pytest.mark.parametrize(
  "stop",
  [
    BORDER,
    *(pytest.param(BORDER + each, marks=pytest.mark.full) for each in (-2, 2)),
  ],
)
def test_stopped_on_either_side_of_the_border_equals_never_stopped(
  finished, config, tmp_path, stop
):
  phase_start = lambda pipeline: BORDER if pipeline.batch_size == 8 else 0
  pretrain_until(stop, config, tmp_path, phase_start)
  again = pretrain.run(config, str(tmp_path))
  ends_as_unbroken(finished, tmp_path, again)


@pytest.mark.parametrize(
  "stop", [BORDER, pytest.param(STEPS, marks=pytest.mark.full)]
)
def test_a_signal_at_the_end_of_a_phase_saves_before_it_evaluates(
  finished, config, tmp_path, monkeypatch, stop
):
  asked, evaluated = [], []
  real = hooks.Evaluate.run

  def requested(_, step=None):
    asked.append(step or 0)
    return max(asked) >= stop

  def leave(_, message):
    raise SystemExit(message)

  def run(self, state, moment):
    evaluated.append(moment.step)
    real(self, state, moment)

  with monkeypatch.context() as patch:
    patch.setattr(cli.Signals, "requested", requested)
    patch.setattr(cli.Signals, "leave", leave)
    patch.setattr(hooks.Evaluate, "run", run)
    with pytest.raises(SystemExit, match=f"at step {stop} of {STEPS}"):
      pretrain.run(config, str(tmp_path))
  assert evaluated == [step for step in (4, 5, 8, 9) if step < stop]
  ends_as_unbroken(finished, tmp_path, pretrain.run(config, str(tmp_path)))


def test_a_finished_run_that_is_started_again_changes_nothing(finished, config):
  workdir = pathlib.Path(finished[0].workdir)
  before = (workdir / writers.METRICS).read_bytes()
  again = pretrain.run(config, str(workdir))
  assert (workdir / writers.METRICS).read_bytes() == before
  assert again.validation == finished[0].validation


def test_validation_says_at_which_length(finished):
  workdir = pathlib.Path(finished[0].workdir)
  lines = writers.read(workdir / writers.METRICS, "validation")
  assert [(line["step"], line["seq_length"]) for line in lines] == [
    (4, 24),
    (5, 24),
    (8, 32),
    (9, 32),
  ]


def test_one_schedule_goes_on_where_no_rate_is_given(config):
  phase2 = dataclasses.replace(config.phase2, learning_rate=0.0, warmup_steps=0)
  parts = assembly.assemble(dataclasses.replace(config, phase2=phase2))
  rates = [np.asarray(parts.program.schedule(step)) for step in range(2, STEPS)]
  np.testing.assert_allclose(
    rates, [1e-2 * (1 - step / STEPS) for step in range(2, STEPS)], rtol=1e-6
  )
  assert all(b < a for a, b in itertools.pairwise(rates))


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"steps": STEPS}, r"phase2\.steps=9 of steps=9"),
    ({"steps": 0}, r"phase2\.seq_length=32 is read only with phase2\.steps"),
    ({"seq_length": 64}, r"^phase2\.seq_length=64 is beyond the position"),
    ({"seq_length": 4}, r"^phase2\.seq_length=4; give 8 or more"),
    ({"seq_length": 0}, r"^phase2\.seq_length=0"),
    ({"max_packs": 99}, r"^phase2\.max_packs=99; give 1 to 10, a third of "),
    ({"batch_size": 3}, r"^phase2\.batch_size=3 is not a multiple of mesh"),
    ({"accumulation": 3}, r"× phase2\.accumulation = "),
    ({"warmup_steps": 7}, r"^phase2\.warmup_steps=7 of phase2\.steps=4"),
    (
      {"learning_rate": 0.0},
      r"warmup_steps=1 is read only with phase2\.steps and phase2",
    ),
    ({"learning_rate": -1.0}, r"phase2\.learning_rate=-1"),
  ],
)
def test_a_phase_that_does_not_fit_is_one_line(
  config, tmp_path, changes, message
):
  phase2 = dataclasses.replace(config.phase2, **changes)
  bad = dataclasses.replace(config, phase2=phase2)
  with pytest.raises(ValueError, match=message) as caught:
    pretrain.run(bad, str(tmp_path / "w"))
  assert "\n" not in str(caught.value)
  assert not (tmp_path / "w").exists()


def test_a_rerun_with_another_second_phase_is_refused(finished, config):
  phase2 = dataclasses.replace(config.phase2, learning_rate=1e-3)
  with pytest.raises(
    ValueError, match=r"phase2\.learning_rate: 0\.004 → 0\.001"
  ):
    pretrain.run(
      dataclasses.replace(config, phase2=phase2), finished[0].workdir
    )
