# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run from store to bundle: resumed, refused, continued, handed on."""

import dataclasses
import json
import pathlib
from typing import Any

import jax
import numpy as np
import pytest

import bertjax
from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.checkpoints import bundle, digest
from bertjax.config import (
  MeshConfig,
  ObjectiveConfig,
  PretrainConfig,
  from_mapping,
)
from launch import export, pretrain
from launch.preflight.policy import Policy
from launch.run import assembly, restoring, resumable
from launch.run.findings import read_findings
from tests.testing import corpus
from tests.testing.commands import run_command


@pytest.fixture(scope="module")
def config(store):
  """On all axes of eight devices, with half of the mesh in `tensor`."""
  return corpus.make_config(store, mesh=MeshConfig(data=2, fsdp=2, tensor=2))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, config):
  workdir = tmp_path_factory.mktemp("run") / "workdir"
  return pretrain.run(config, str(workdir))


def lines(result, name="metrics.jsonl"):
  text = (pathlib.Path(result.workdir) / name).read_text()
  return [json.loads(line) for line in text.splitlines()]


def test_a_run_leaves_everything_that_it_promises(finished, config):
  assert finished.step == 6
  assert finished.tokens_per_second > 0
  assert finished.validation.keys() == {
    "loss",
    "mlm_loss",
    "mlm_accuracy",
    "nsp_loss",
    "nsp_accuracy",
    "unigram_entropy",
    "mask_rate",
    "mlm_accuracy_masked",
    "mlm_accuracy_randomized",
    "mlm_accuracy_kept",
  }
  written = [(line["split"], line["step"]) for line in lines(finished)]
  assert written == [
    ("train", 2),
    ("train", 4),
    ("validation", 4),
    ("train", 6),
    ("validation", 6),
  ]
  last = lines(finished)[-1]
  assert {name: last[name] for name in finished.validation} == (
    finished.validation
  )
  assert finished.train["tokens"] == finished.tokens
  assert lines(finished, "timing.jsonl")
  assert list((pathlib.Path(finished.workdir) / "tensorboard").iterdir())
  info = bundle.read_bundle_info(finished.bundle)
  assert info.details.step == 6
  assert info.details.tokens == finished.tokens
  assert info.details.evaluation == finished.validation
  assert info.details.pooler_trained
  assert info.model.vocab_size == 128  # the store's pieces, in full tiles


def test_a_run_stores_the_config_that_it_resolved(finished, config):
  path = pathlib.Path(finished.workdir) / restoring.CONFIG
  stored = json.loads(path.read_text())
  resolved = assembly.assemble(config).resolved
  assert from_mapping(PretrainConfig, stored["config"]) == resolved.config
  (phase,) = stored["phases"]
  assert phase["max_packs"] == resolved.config.data.max_packs
  assert phase["attention"] == "xla"
  info = bundle.read_bundle_info(finished.bundle)
  assert info.details.config == stored["config"]


def test_the_loss_falls_from_that_of_a_uniform_guess(finished):
  train = [line for line in lines(finished) if line["split"] == "train"]
  assert abs(train[0]["mlm_loss"] - np.log(128)) < 1
  assert train[-1]["mlm_loss"] < train[0]["mlm_loss"]


def test_a_finished_run_started_again_gives_the_same(finished, config):
  before = (pathlib.Path(finished.workdir) / "metrics.jsonl").read_bytes()
  stored = pathlib.Path(finished.workdir) / restoring.CONFIG
  resolved = stored.read_text()
  stored.write_text("{}")
  again = pretrain.run(config, finished.workdir)
  assert stored.read_text() == resolved
  after = (pathlib.Path(finished.workdir) / "metrics.jsonl").read_bytes()
  assert before == after
  for name in vars(finished):
    if name != "seconds":
      assert getattr(again, name) == getattr(finished, name), name


def test_what_a_run_warned_of_stands_wherever_it_is_handed_on(
  finished, config, tmp_path, caplog
):
  workdir = pathlib.Path(finished.workdir)
  limits = {"reached_mask_rate.warn": 9, "pair_accuracy_trivial.warn": -1}
  policy = Policy(thresholds={**limits, "disk_space.warn": -1})
  result = pretrain.run(config, str(workdir), policy=policy)
  logged = [
    text for each in caplog.records if "; fix: " in (text := each.getMessage())
  ]
  kept = read_findings(workdir)
  assert kept.step == 6
  assert {
    "validation_tokens",
    "reached_mask_rate",
    "pair_accuracy_trivial",
  } <= {each.name for each in kept.findings}
  # The machine is not the run.
  (of_disk,) = (text for text in logged if "(disk_space " in text)
  logged.remove(of_disk)
  assert [each.line for each in kept.findings] == logged
  assert result.findings == kept.findings
  sentences = [each.sentence for each in kept.findings]
  info = bundle.read_bundle_info(result.bundle)
  assert info.details.findings == sentences
  sources: list[dict[str, Any]] = [
    {"bundle": result.bundle},
    {"workdir": result.workdir, "step": 6},
    {"workdir": result.workdir, "step": 4},
  ]
  cards = [
    (export.run(output=tmp_path / str(n), **each) / "README.md").read_text()
    for n, each in enumerate(sources)
  ]
  names = [name.removesuffix(".warn") for name in limits]
  of_results = {
    text for text in sentences for name in names if f"({name} " in text
  }
  assert len(of_results) == 2
  for number, card in enumerate(cards):
    for text in sentences:
      is_said = f"\n\nWarning: {text}\n" in card
      assert is_said == (number < 2 or text not in of_results), text
  with resumable.open_run(assembly.assemble(config), workdir) as run:
    run.add_findings(())
  assert read_findings(workdir) == kept


def test_another_identity_is_refused_and_changes_nothing(finished, config):
  workdir = pathlib.Path(finished.workdir)
  before = (workdir / "metrics.jsonl").read_bytes()
  other = dataclasses.replace(
    config,
    seed=1,
    optimizer=dataclasses.replace(config.optimizer, learning_rate=2e-2),
  )
  with pytest.raises(ValueError, match=r"learning_rate: 0\.01 → 0\.02.*seed"):
    pretrain.run(other, str(workdir))
  assert (workdir / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"store": ""}, "data.store is not given"),
    ({"store": "/no/such/store"}, "no/such/store"),
    ({"seq_length": 64}, "beyond the position table"),
    ({"max_packs": 99}, "max_packs=99"),
  ],
)
def test_bad_data_is_refused_before_anything_is_written(
  config, tmp_path, change, message
):
  bad = dataclasses.replace(
    config, data=dataclasses.replace(config.data, **change)
  )
  with pytest.raises(ValueError, match=message) as caught:
    pretrain.run(bad, str(tmp_path / "w"))
  assert "\n" not in str(caught.value)
  assert list(tmp_path.iterdir()) == []


def test_a_vocabulary_larger_than_the_table_is_refused(config, tmp_path):
  model = dataclasses.replace(config.model, vocab_size=9)
  bad = dataclasses.replace(config, model=model)
  with pytest.raises(ValueError, match="vocab_size=9"):
    pretrain.run(bad, str(tmp_path / "w"))


def test_a_bundle_is_continued_from_its_parameters(finished, config, tmp_path):
  """`init_from` starts a new run; an objective without pairs fits too."""
  on = dataclasses.replace(
    config,
    init_from=finished.bundle,
    objective=ObjectiveConfig(next_sentence="off"),
  )
  parts = assembly.assemble(on)
  with resumable.open_run(parts, tmp_path / "w") as run:
    _, before = bertjax.load_bundle(finished.bundle)
    jax.tree.map(np.testing.assert_array_equal, before, run.state.params)
    assert int(run.state.step) == 0
    abstract = parts.program.abstract_state()
    jax.tree.map(
      lambda leaf, place: np.testing.assert_equal(
        leaf.sharding, place.sharding
      ),
      run.state,
      abstract,
    )
    assert run.details(0).pooler_trained  # by the run before


def test_a_bundle_of_another_model_or_tokenizer_is_not_continued(
  finished, config
):
  on = dataclasses.replace(config, init_from=finished.bundle)
  model = dataclasses.replace(config.model, num_layers=3)
  with pytest.raises(ValueError, match=r"model\.num_layers=2"):
    assembly.assemble(dataclasses.replace(on, model=model))


def test_any_committed_step_becomes_a_bundle(finished, tmp_path):
  path = export.run(
    workdir=finished.workdir,
    step=6,
    format="bundle",
    output=tmp_path / "last",
  )
  ours = bundle.read_bundle_info(finished.bundle)
  theirs = bundle.read_bundle_info(path)
  assert theirs.leaves == ours.leaves
  assert theirs.model == ours.model
  assert theirs.details.step == 6
  earlier = export.run(
    workdir=finished.workdir,
    step=4,
    format="bundle",
    output=tmp_path / "earlier",
  )
  assert bundle.read_bundle_info(earlier).details.step == 4
  with pytest.raises(ValueError, match=r"step 3; it has steps \[2, 4, 6\]"):
    export.run(workdir=finished.workdir, step=3, output=tmp_path / "x")
  assert not (tmp_path / "x").exists()


def test_an_export_loads_with_nothing_missing_and_the_same_states(
  finished, tmp_path
):
  transformers = pytest.importorskip("transformers")
  torch = pytest.importorskip("torch")
  folder = export.run(bundle=finished.bundle, output=tmp_path / "hf")
  tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
  theirs, report = transformers.AutoModel.from_pretrained(
    folder, output_loading_info=True
  )
  heads = report.pop("unexpected_keys")
  assert not any(report.values()), report
  assert all(name.startswith("cls.") for name in heads)
  encoded = tokenizer("the cod sees a [MASK] .", return_tensors="pt")
  assert encoded["input_ids"].tolist() == [[2, 5, 9, 18, 6, 4, 8, 3]]
  with torch.no_grad():
    expected = theirs.eval()(**encoded).last_hidden_state.numpy()
  model, params = bertjax.load_bundle(finished.bundle)
  features = empty_batch(ENCODER_FEATURES, {"B": 1, "S": 8, "R": 1})
  features["tokens_BS"][:] = encoded["input_ids"].numpy()
  features["packs_BS"][:] = 1
  features["positions_BS"][:] = np.arange(8)
  hidden_BSD, _ = model.apply(
    {"params": params}, features, method="encode", deterministic=True
  )
  np.testing.assert_allclose(hidden_BSD, expected, atol=1e-5)


def test_an_export_replaces_an_export_and_nothing_else(finished, tmp_path):
  target = tmp_path / "papers"
  target.mkdir()
  (target / "thesis.tex").write_text("x")
  for form in export.FORMATS:
    with pytest.raises(ValueError, match="give another folder"):
      export.run(bundle=finished.bundle, output=target, format=form)
  with pytest.raises(ValueError, match="either --bundle=DIR or --workdir=DIR"):
    export.run(output=tmp_path / "y")
  assert [path.name for path in tmp_path.iterdir()] == ["papers"]


def test_a_checkpoint_knows_its_leaves(finished):
  info = bundle.read_bundle_info(finished.bundle)
  assert digest.describe(bundle.load_params(info)) == info.leaves


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--config.optimizer.learning_rat=1", "learning_rat"),
    ("--config=configs/pretrain.py:size=huge", "tiny, mini"),
    ("--workdri=x", "workdri"),
  ],
)
def test_a_misspelt_flag_is_one_line_and_exit_1(store, tmp_path, flag, message):
  done = run_command(
    "launch.pretrain",
    "--config=configs/pretrain.py:size=tiny",
    f"--workdir={tmp_path / 'w'}",
    f"--config.data.store={store}",
    flag,
  )
  assert done.returncode == 1
  assert done.stderr.startswith("error: ")
  assert done.stderr.count("\n") == 1
  assert message in done.stderr
  assert list(tmp_path.iterdir()) == []
