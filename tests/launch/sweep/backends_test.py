# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import yaml
from absl import flags

from bertjax.config import DataConfig, EvaluationConfig, TaskConfig
from bertjax.sweep.axes import expand
from launch.pods import buckets
from launch.preflight.policy import DEFAULT
from launch.sweep import backends, elsewhere
from launch.sweep.plan import make_plan
from tests.testing.commands import run_command
from tests.testing.pod_documents import IMAGE, complaints, container

JOBSET = (
  "--backend=jobset",
  "--topology=v5e:2x4",
  f"--image={IMAGE}",
  "--name=nsp",
)


def parse(*arguments):
  values = flags.FlagValues()
  backends.define_flags(values)
  values(["sweep", *arguments])
  backends.check_flags(values)
  return values


@pytest.fixture
def bucket(place, monkeypatch):
  """The folder of the store, as where a pod mounts its bucket."""
  monkeypatch.setattr(buckets, "ROOT", str(place.parent))
  return place


def write(config, work, *arguments):
  make = backends.make_files(str(work), parse(*arguments))
  elsewhere.write_study(config, str(work), DEFAULT, "", make)


def test_every_trial_is_a_jobset_that_kubernetes_takes(config, bucket):
  work = bucket / "jobsets"
  write(config, work, *JOBSET, "--queue=tpu")
  paths = sorted((work / backends.JOBSETS).glob("*.yaml"))
  assert len(paths) == 6
  manifests = [yaml.safe_load(path.read_text()) for path in paths]
  for path, manifest in zip(paths, manifests, strict=True):
    assert complaints("jobset", manifest) == []
    assert container(manifest)["command"] == [
      *("python", "-m", "launch.sweep"),
      f"--workdir={work}",
      f"--trial={path.stem}",
    ]
  names = {each["metadata"]["name"] for each in manifests}
  assert "nsp-mlm-nsp-seed0" in names
  assert len(names) == 6
  assert (work / elsewhere.STUDY).is_file()


@pytest.mark.parametrize(
  ("changed", "words"),
  [
    ("--topology=v5e:4x4", "v5e:4x4 has 4 hosts, and a trial runs in one"),
    ("--name=Nsp", "name='Nsp-mlm-nsp-seed0': a name has lower-case"),
  ],
)
def test_what_no_pod_can_run_is_refused_and_not_written(
  config, bucket, changed, words
):
  work = bucket / "refused"
  with pytest.raises(ValueError, match=words):
    write(config, work, *JOBSET, changed)
  assert not work.exists()


def test_pods_read_their_bucket_alone(config, bucket, tmp_path, monkeypatch):
  with pytest.raises(ValueError, match=r"store=.* is in the bucket place"):
    write(config, tmp_path / "work", *JOBSET)
  monkeypatch.setattr(buckets, "ROOT", "/buckets")
  with pytest.raises(ValueError, match=r"--workdir=.*: pods mount a bucket as"):
    write(config, bucket / "work", *JOBSET)


@pytest.mark.parametrize(
  ("group", "fields", "words"),
  [
    (
      "finetune",
      {"task": TaskConfig(kind="table", train="/data/a.csv")},
      r"--config.finetune.task.train=/data/a.csv: pods mount",
    ),
    (
      "probes",
      {"tasks": {"rte": {"task": {"kind": "glue", "folder": "/glue"}}}},
      r"--config.probes.tasks.rte.task.folder=/glue: pods mount",
    ),
    ("pretrain", {"init_from": "/runs/b"}, "pretrain.init_from=/runs/b: pods"),
    (
      "pretrain",
      {"evaluation": EvaluationConfig(stores="old=/b/old")},
      "pretrain.evaluation.stores=/b/old: pods",
    ),
    (
      "pretrain",
      {"data": DataConfig(stores="/b/x=0.5,/b/y=0.5")},
      "pretrain.data.stores=/b/x: pods",
    ),
  ],
)
def test_whatever_a_trial_reads_is_in_the_bucket(
  config, bucket, group, fields, words
):
  """Each pod would fail at once, and nothing says so before."""
  plan = make_plan(expand(config), DEFAULT)
  changed = dataclasses.replace(vars(plan.config)[group], **fields)
  plan = dataclasses.replace(
    plan, config=dataclasses.replace(plan.config, **{group: changed})
  )
  make = backends.make_files(str(bucket / "work"), parse(*JOBSET))
  with pytest.raises(ValueError, match=words):
    make(plan, plan.trials)


def test_data_that_are_loaded_by_name_are_in_no_bucket(config, bucket):
  plan = make_plan(expand(config), DEFAULT)
  task = TaskConfig(kind="glue", name="rte", folder="tfds:glue/rte")
  tuned = dataclasses.replace(plan.config.finetune, task=task)
  plan = dataclasses.replace(
    plan, config=dataclasses.replace(plan.config, finetune=tuned)
  )
  make = backends.make_files(str(bucket / "work"), parse(*JOBSET))
  assert len(make(plan, plan.trials)) == 6


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (["--backend=commands", "--spot"], "--spot has no effect with --backend=c"),
    (["--image=x"], "--image has no effect with --backend=here"),
    (["--backend=jobset", "--name=a"], "--backend=jobset needs --topology="),
  ],
)
def test_flags_of_other_backends_are_refused(arguments, words):
  with pytest.raises(ValueError, match=words):
    parse(*arguments)


def test_a_study_is_read_and_not_given_again(tmp_path):
  done = run_command(
    *("launch.sweep", "--collect", "--seeds=3", f"--workdir={tmp_path}/work")
  )
  assert done.returncode == 1
  assert done.stderr == (
    "error: --seeds has no effect with --collect, which reads the study in "
    "--workdir; leave it out\n"
  )
