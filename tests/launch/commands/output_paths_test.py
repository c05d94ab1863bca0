# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a command cannot write is refused before anything is read."""

import pathlib
import types
from typing import Any

import pytest

from bertjax.checkpoints import bundle
from bertjax.config import (
  DataConfig,
  EvaluationConfig,
  FinetuneConfig,
  PretrainConfig,
  SweepConfig,
  TaskConfig,
)
from bertjax.config.sweep import ProbesConfig
from data_pipelines.prepare import workspace
from data_pipelines.prepare.options import Options as PrepareOptions
from data_pipelines.tasks.table_files import Columns
from launch import (
  demo,
  embed,
  evaluate,
  export,
  finetune,
  import_weights,
  plan,
  prepare,
  pretrain,
)
from launch.commands import output_paths
from launch.compare import __main__ as compare
from launch.exports.formats import Options
from launch.glue import __main__ as glue
from launch.inference import outputs, score_file
from launch.inference.inputs import Source
from launch.inference.labeling import label_file
from launch.pods import __main__ as pods
from launch.run import ownership
from launch.sweep import __main__ as sweep

UNREAD: Any = None  # a config; the path is looked at before it
SOURCE = Source("nowhere.jsonl", Columns())
# Name of the flag, and what writes a folder.
FOLDERS = {
  "pretrain": ("workdir", lambda path: pretrain.run(UNREAD, path)),
  "bundle": ("bundle", lambda path: pretrain.run(UNREAD, "run", path)),
  "finetune": ("workdir", lambda path: finetune.run(UNREAD, "nowhere", path)),
  "sweep": ("workdir", lambda path: sweep.run(UNREAD, path)),
  "glue": ("workdir", lambda path: glue.run(UNREAD, "nowhere", "data", path)),
  "export": ("output", lambda path: export.run(output=path, bundle="nowhere")),
  "import": (
    "output",
    lambda path: import_weights.run(source="nowhere", output=path),
  ),
  "demo": ("output", demo.run),
}
# What writes a file to --output.
FILES = {
  "predict": lambda path: label_file("nowhere", SOURCE, f"{path}.jsonl"),
  "embed": lambda path: embed.embed_file("nowhere", SOURCE, f"{path}.npy"),
  "pods": lambda path: pods.write_file(path, ""),
}


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
  """Nothing is written to the working folder."""
  (tmp_path / "work").mkdir()
  monkeypatch.chdir(tmp_path / "work")
  yield
  assert not [*(tmp_path / "work").iterdir()]


@pytest.mark.parametrize("launcher", FOLDERS)
@pytest.mark.parametrize("address", ["gs://b/run", "s3://b", "file:///run"])
def test_no_folder_is_made_of_an_address(launcher, address):
  flag, run = FOLDERS[launcher]
  with pytest.raises(ValueError, match="mount it") as error:
    run(address)
  assert f"--{flag}={address}" in str(error.value)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("launcher", FILES)
def test_no_file_is_made_of_an_address(launcher):
  with pytest.raises(ValueError, match=r"--output=gs://b/new.*mount it"):
    FILES[launcher]("gs://b/new")


@pytest.mark.parametrize("inside", ["", "/run"])
@pytest.mark.parametrize("launcher", FOLDERS)
def test_no_folder_is_made_of_a_file(launcher, inside, tmp_path):
  file = tmp_path / "notes.txt"
  file.write_text("kept")
  _, run = FOLDERS[launcher]
  with pytest.raises(ValueError, match=r"notes\.txt is a file; give a folder"):
    run(f"{file}{inside}")
  assert file.read_text() == "kept"


@pytest.mark.parametrize("launcher", FILES)
def test_no_file_is_made_inside_of_a_file(launcher, tmp_path):
  (tmp_path / "notes.txt").write_text("kept")
  with pytest.raises(ValueError, match=r"notes\.txt is a file; give a folder"):
    FILES[launcher](f"{tmp_path}/notes.txt/new")


@pytest.mark.parametrize("launcher", FILES)
def test_no_file_takes_the_place_of_a_folder(launcher, tmp_path):
  for suffix in ("", ".jsonl", ".npy"):
    (tmp_path / f"new{suffix}").mkdir()
  with pytest.raises(ValueError, match="is a folder; give the path of a file"):
    FILES[launcher](f"{tmp_path}/new")


@pytest.mark.parametrize("launcher", [*FOLDERS, *FILES])
def test_nothing_is_begun_that_cannot_be_written(
  launcher, tmp_path, monkeypatch
):
  (tmp_path / "locked").mkdir()
  monkeypatch.setattr(  # root may write anywhere
    output_paths.os, "access", lambda path, _: path.name != "locked"
  )
  run = FILES[launcher] if launcher in FILES else FOLDERS[launcher][1]
  with pytest.raises(ValueError, match=r"^--.*/locked cannot be written to;"):
    run(f"{tmp_path}/locked/new/folder")
  assert not [*(tmp_path / "locked").iterdir()]


@pytest.mark.parametrize("inside", ["bundle", "bundles/step_7"])
@pytest.mark.parametrize("launcher", ["bundle", "export", "import"])
def test_no_bundle_takes_the_place_of_what_a_run_has_trained(
  launcher, inside, tmp_path
):
  place = tmp_path / "other" / inside
  place.mkdir(parents=True)
  (place / bundle.RECORD).write_text("trained for days")
  (tmp_path / "other" / ownership.OWNER).write_text("{}")
  flag, run = FOLDERS[launcher]
  with pytest.raises(ValueError, match=rf"^--{flag}=.* has trained; give ano"):
    run(place)
  assert (place / bundle.RECORD).read_text() == "trained for days"
  command = "launch.pretrain"
  ownership.check_free(flag, place, command, tmp_path / "other")  # its own


# What a command replaces in the folder `path`, and has not written.
REPLACED = {
  "pretrain": ("config.json", lambda path: pretrain.run(UNREAD, path)),
  "findings": ("findings.json", lambda path: pretrain.run(UNREAD, path)),
  "bundle": (
    bundle.RECORD,
    lambda path: pretrain.run(UNREAD, f"{path}/run", path),
  ),
  "bundle of a run that is not begun": (
    f"bundle/{bundle.RECORD}",
    lambda path: pretrain.run(UNREAD, path),
  ),
  "finetune": (
    f"model/{bundle.RECORD}",
    lambda path: finetune.run(UNREAD, "nowhere", path),
  ),
  "sweep": ("results.csv", lambda path: sweep.run(UNREAD, path)),
  "glue": ("glue.md", lambda path: glue.run(UNREAD, "nowhere", "data", path)),
  "demo": ("summary.json", demo.run),
  "import": (
    bundle.RECORD,
    lambda path: import_weights.run(source="nowhere", output=path),
  ),
  **{
    f"export as {name}": (
      bundle.RECORD if name == "bundle" else "model.safetensors",
      lambda path, name=name: export.run(
        output=path, bundle="nowhere", format=name
      ),
    )
    for name in export.FORMATS
  },
  "predict and embed": (
    "x.jsonl",
    lambda path: outputs.Output(path / "x.jsonl", {}).begin(),
  ),
  "evaluate": (
    "x.json",
    lambda path: score_file.check(path / "x.json", {"model": "m"}),
  ),
  "compare": ("x.html", lambda path: main(compare, f"{path}/x.html")),
  "plan": (plan.JSON, plan.check_output),
  "plan's page": (plan.HTML, plan.check_output),
  "pods": ("x", lambda path: pods.write_file(path / "x", "")),
  "prepare": (
    "notes.txt",
    lambda path: workspace.is_made(str(path), path, {}),
  ),
  "prepare's work": (
    "x.partial/notes.txt",
    lambda path: prepare.run(
      PrepareOptions(corpus="stdlib", output=f"{path}/x")
    ),
  ),
}


def main(module, output, *arguments):
  values = types.SimpleNamespace(output=str(output))
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(module, "flags", types.SimpleNamespace(FLAGS=values))
    module.main(["", *arguments])


@pytest.mark.parametrize("launcher", REPLACED)
def test_nothing_but_its_own_earlier_output_is_replaced(launcher, tmp_path):
  name, run = REPLACED[launcher]
  file = tmp_path / "there" / name
  file.parent.mkdir(parents=True)
  file.write_text("a user's")
  with pytest.raises(ValueError, match=r" (give|rename) ") as error:
    run(tmp_path / "there")
  assert "there" in str(error.value)
  assert "\n" not in str(error.value)
  assert file.read_text() == "a user's"


# What reads the folder `read`, and writes the file `path`.
INTO_A_FILE = {
  "predict": lambda read, path: label_file(read, SOURCE, f"{path}.jsonl"),
  "predict a file": lambda read, path: label_file(
    "nowhere", Source(read, Columns()), f"{path}.jsonl"
  ),
  "embed": lambda read, path: embed.embed_file(read, SOURCE, f"{path}.npy"),
  "embed a file": lambda read, path: embed.embed_file(
    "nowhere", Source(read, Columns()), f"{path}.npy"
  ),
  "evaluate": lambda read, path: evaluate.evaluate(read, output=path),
  "evaluate a file": lambda read, path: evaluate.evaluate(
    "nowhere", split=read, output=path
  ),
  "compare": lambda read, path: main(compare, path, read),
}
# What reads the folder `read`, and writes the folder `path`.
INTO_A_FOLDER = {
  "export": lambda read, path: export.run(output=path, bundle=read),
  "import": lambda read, path: import_weights.run(source=read, output=path),
  "finetune": lambda read, path: finetune.run(UNREAD, read, path),
  "fine-tune on files": lambda read, path: finetune.run(
    _tuning_on(read), "nowhere", path
  ),
  "fine-tune on a folder": lambda read, path: finetune.run(
    FinetuneConfig(task=TaskConfig(kind="glue", folder=read)), "nowhere", path
  ),
  "glue": lambda read, path: glue.run(UNREAD, read, "data", path),
  "glue's data": lambda read, path: glue.run(UNREAD, "nowhere", read, path),
  "calibration": lambda read, path: export.run(
    bundle="nowhere",
    output=path,
    format="onnx",
    options=Options(quantize="static", calibration=read),
  ),
  "tokenizer": lambda read, path: prepare.run(
    PrepareOptions(corpus="stdlib", tokenizer=read, output=path)
  ),
  "pretrain": lambda read, path: pretrain.run(_training_on(read), path),
  "bundle": lambda read, path: pretrain.run(_training_on(read), "run", path),
  "mixture": lambda read, path: pretrain.run(_training_on("", read), path),
  "evaluation": lambda read, path: pretrain.run(
    PretrainConfig(evaluation=EvaluationConfig(stores=f"a=b,c={read}")), path
  ),
  "sweep": lambda read, path: sweep.run(
    SweepConfig(pretrain=_training_on(read)), path
  ),
  "sweep's task": lambda read, path: sweep.run(
    SweepConfig(finetune=_tuning_on(read)), path
  ),
  "sweep's probe": lambda read, path: sweep.run(
    SweepConfig(probes=ProbesConfig(tasks={"a": {"task": {"dev": read}}})), path
  ),
}
INSIDE = {**INTO_A_FILE, **INTO_A_FOLDER}


def _training_on(store: str, stores: str = "") -> PretrainConfig:
  mixed = stores and f"a=1,{stores}=2"
  return PretrainConfig(data=DataConfig(store=store, stores=mixed))


def _tuning_on(path: str) -> FinetuneConfig:
  return FinetuneConfig(task=TaskConfig(kind="table", train=path))


@pytest.mark.parametrize("launcher", INSIDE)
def test_nothing_is_written_into_what_is_read(launcher, tmp_path):
  (tmp_path / "read").mkdir()
  (tmp_path / "link").symlink_to(tmp_path / "read")
  for read, path in (("read", "link/new/x"), ("link", "read/x")):
    with pytest.raises(ValueError, match=r"^--.* is in .*; give a place outs"):
      INSIDE[launcher](f"{tmp_path}/{read}", f"{tmp_path}/{path}")
  assert not [*(tmp_path / "read").iterdir()]


# Of these, what may replace that folder as a whole.
REPLACES = ("export", "import", "calibration", "tokenizer", "bundle")


@pytest.mark.parametrize("launcher", REPLACES)
def test_no_folder_is_replaced_that_has_what_is_read(launcher, tmp_path):
  read = tmp_path / "out" / "read"
  read.parent.mkdir()
  read.write_text("kept")
  with pytest.raises(ValueError, match=r"^--.* has inside --.*; give a place"):
    INTO_A_FOLDER[launcher](str(read), str(read.parent))
  assert read.read_text() == "kept"


def test_a_workdir_may_have_what_is_read(tmp_path):
  """A run whose store lies in its workdir can be resumed."""
  (tmp_path / "store").mkdir()
  inputs = {"config.data.store": tmp_path / "store"}
  output_paths.check_outside("workdir", tmp_path, inputs)
  with pytest.raises(ValueError, match=r"^--workdir=.* is in --config"):
    output_paths.check_outside("workdir", tmp_path / "store", inputs)


def test_no_file_takes_the_place_of_what_is_read(tmp_path):
  (tmp_path / "a.csv").write_text("kept")
  for path in (f"{tmp_path}/a.csv", f"{tmp_path}/x/../a.csv"):
    with pytest.raises(ValueError, match=r" is --input=.*; give a place outsi"):
      output_paths.check_outside("output", path, {"input": tmp_path / "a.csv"})


def test_a_place_beside_what_is_read_is_accepted(tmp_path):
  (tmp_path / "read").mkdir()
  inputs = {"a": str(tmp_path / "read"), "b": "", "c": None, "d": "gs://b/x"}
  for place in ("readme", "x/read"):
    output_paths.check_outside("output", tmp_path / place, inputs)
  with pytest.raises(ValueError, match="is in --a="):
    output_paths.check_outside("output", tmp_path / "read", inputs)


@pytest.mark.parametrize("module", [evaluate, compare])
def test_a_page_or_scores_take_no_place_of_a_folder(module, tmp_path):
  with pytest.raises(ValueError, match="is a folder; give the path of a file"):
    main(module, tmp_path)


@pytest.mark.parametrize(
  "folder", ["run", "/buckets/b/run", "a:b/c", "gs:/b", pathlib.Path("x"), None]
)
def test_other_paths_are_accepted(folder):
  output_paths.check_folder("workdir", folder)
  output_paths.check_file("output", folder)
