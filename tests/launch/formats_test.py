# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What earlier versions wrote is read, resumed, exported and run again."""

import hashlib
import json
import os
import pathlib
import shutil

import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors

import bertjax
from bertjax.model.parameters import by_name
from launch import predict
from tests.testing import compiling
from tests.testing.commands import run_command

ROOT = pathlib.Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
FORMATS = sorted(path.name for path in FIXTURES.glob("format_*/"))
# Of what is computed: another CPU or another JAX rounds otherwise.
RTOL = 1e-4


@pytest.fixture(scope="module", params=FORMATS)
def written(request, tmp_path_factory):
  """A copy of a format's folder, because commands change it."""
  target = tmp_path_factory.mktemp("written") / request.param
  return shutil.copytree(FIXTURES / request.param, target)


# Flags of that time that are refused → what gives the same rows today.
FLAGS = {
  "--config.evaluation.batches=2": "--config.evaluation.rows=16",
  "--config.pretrain.evaluation.batches=1": (
    "--config.pretrain.evaluation.rows=8"
  ),
}


def flags(folder, group):
  """Return the flags of a group of commands.txt, with this tree's configs."""
  lines = (folder / "commands.txt").read_text().splitlines()
  start = lines.index(f"{group}:") + 1
  found = []
  for line in lines[start:]:
    if not line.startswith("  "):
      break
    flag = line.strip().replace("--config=", f"--config={ROOT}/")
    found.append(FLAGS.get(flag, flag))
  return found


def run(folder, module, *arguments):
  """Run a command in `folder` on one CPU device; return what it prints."""
  code, text = attempt(folder, module, *arguments)
  assert code == 0, text
  return text


def attempt(folder, module, *arguments):
  """Return the exit status as well; what is printed ends with errors."""
  environment = {**os.environ, "XLA_FLAGS": compiling.FLAGS}
  got = run_command(
    *(f"launch.{module}", *arguments), cwd=folder, environment=environment
  )
  return got.returncode, got.stdout + got.stderr


def sha256(array):
  array = np.ascontiguousarray(jax.device_get(array))
  return hashlib.sha256(array.tobytes()).hexdigest()


def records(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def assert_same(found, wanted):
  """Equal but for the last digits of floats, anywhere inside."""
  if isinstance(wanted, dict):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
      assert_same(found[name], value)
  elif isinstance(wanted, list):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
      assert_same(one, other)
  elif isinstance(wanted, float):
    np.testing.assert_allclose(found, wanted, rtol=RTOL)
  else:
    assert found == wanted


def test_a_store_is_whole(written):
  run(written, "doctor", "--store=store")


def test_a_run_whose_rows_were_planned_otherwise_is_refused(written):
  before = (written / "checkpoint" / "metrics.jsonl").read_bytes()
  code, text = attempt(
    written, "pretrain", *flags(written, "PRETRAIN"), "--workdir=checkpoint"
  )
  assert code == 1
  *_, line = text.splitlines()
  assert line.startswith("error: the checkpoint here is of another run (rows_v")
  assert line.endswith("accept with --config.allow_changes=rows_version")
  assert (written / "checkpoint" / "metrics.jsonl").read_bytes() == before


def test_a_run_goes_on_with_other_rows_of_its_text(written):
  text = run(
    written,
    "pretrain",
    *flags(written, "PRETRAIN"),
    *("--workdir=checkpoint", "--config.allow_changes=rows_version"),
  )
  assert "rows_version changes from 1 to 2" in text
  assert "from step 4 of 8" in text
  found, wanted = (
    records(written / folder / "metrics.jsonl")
    for folder in ("checkpoint", "expected")
  )
  before = [line for line in wanted if line["step"] <= 4]
  assert_same(found[: len(before)], before)
  for line, other in zip(found, wanted, strict=True):
    assert line.keys() >= other.keys()
    for name in ("step", "split", "learning_rate"):
      assert_same(line.get(name), other.get(name))
    assert abs(line["loss"] - other["loss"]) < 1


def test_a_bundle_has_the_same_parameters(written):
  _, params = bertjax.load_bundle(str(written / "bundle"))
  digests = json.loads((written / "expected" / "digests.json").read_text())
  found = {name: sha256(leaf) for name, leaf in by_name(params).items()}
  assert found == digests["parameters_sha256"]


def test_a_bundle_is_exported_as_before(written):
  """Beside the bare encoder it wrote a folder with all that is written now."""
  run(
    written,
    "export",
    *("--bundle=bundle", "--format=huggingface", "--output=huggingface"),
  )
  digests = json.loads((written / "expected" / "digests.json").read_text())
  path = written / "huggingface" / "model.safetensors"
  found = {
    key: sha256(each) for key, each in safetensors.load_file(path).items()
  }
  before = digests["huggingface_sha256"]
  assert found == before["pretraining/model.safetensors"]
  for key, digest in before["model.safetensors"].items():
    assert found[f"bert.{key}"] == digest


def test_a_bundle_fills_masks_as_before(written):
  for line in records(written / "expected" / "fill_mask.jsonl"):
    found = [
      [[guess.text, guess.probability] for guess in guesses]
      for guesses in predict.fill_mask(str(written / "bundle"), line["text"])
    ]
    assert_same(found, line["masks"])


def test_a_classifier_labels_as_before(written):
  for line in records(written / "expected" / "predictions.jsonl"):
    (guesses,) = predict.answer(
      str(written / "classifier" / "model"), [line["text"]]
    )
    found = [list(guess) for guess in guesses]
    assert_same(found, line["labels"])


def test_a_bundle_is_fine_tuned_where_it_was_left(written):
  before = json.loads((written / "classifier" / "results.json").read_text())
  text = run(
    written,
    "finetune",
    *flags(written, "FINETUNE"),
    # Rows had one example each; packed ones get other dropout.
    *("--bundle=bundle", "--workdir=classifier", "--config.pack=false"),
  )
  assert text.count("done before") == 3, text
  after = json.loads((written / "classifier" / "results.json").read_text())
  assert {name: after[name] for name in before} == before


# What `size=tiny` set back in the short recipe, without a word; rows that had
# one example each; and a study of three arms, which shared steps and packs.
UNDONE = (
  "--arms=mlm_nsp,nsp_rows,mlm",
  "--match=steps",
  "--config.pretrain.data.max_packs=3",
  "--config.finetune.pack=false",
  "--config.pretrain.model.hidden_dropout_rate=0.1",
  "--config.pretrain.model.attention_dropout_rate=0.1",
  "--config.pretrain.model.position_init=normal",
  "--config.probes.shared_rows=0",
  "--config.probes.pairs=0",
)


def test_a_sweep_is_finished_already(written):
  before = json.loads((written / "sweep" / "results.json").read_text())
  run(*(written, "sweep", *flags(written, "SWEEP"), "--workdir=sweep"), *UNDONE)
  after = json.loads((written / "sweep" / "results.json").read_text())
  assert {name: after[name] for name in before} == before
