# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import re

import pytest
import yaml

from launch.pods.workload import RESTART_CODES, make_command
from tests.testing.pod_documents import make_workload, write_all

CONFIG = "configs/pretrain.py:size=base"


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"name": "Bert"}, "--name='Bert'"),
    ({"name": "bert-"}, "--name='bert-'"),
    ({"name": "9bert"}, "--name='9bert'"),
    ({"name": "bert\n"}, r"--name='bert\\n'"),
    ({"name": ""}, "--name=''"),
    ({"slices": 0}, "--slices=0"),
    ({"slices": 2, "topology": "v5e:2x2"}, "--slices=2 of v5e:2x2"),
    ({"max_restarts": -1}, "--max_restarts=-1"),
    ({"grace_seconds": 0}, "--grace_seconds=0"),
    ({"environment": ("A",)}, "--env='A'"),
    ({"environment": ("A=1", "A=2")}, "--env=A=… is given twice"),
    ({"environment": ("HF_TOKEN=x",)}, "HF_TOKEN=… looks like a secret"),
    ({"environment": ("A=1\n2",)}, "line break"),
  ],
)
def test_an_impossible_workload_is_refused(settings, message):
  with pytest.raises(ValueError, match=message) as error:
    make_workload(**settings)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize(
  ("config", "workdir", "arguments", "message"),
  [
    (CONFIG, "/tmp/run", (), "--workdir='/tmp/run'"),
    (CONFIG, "gs://", (), "--workdir='gs://'"),
    ("/home/me/c.py", "gs://b/run", (), "--config='/home/me/c.py'"),
    (CONFIG, "gs://b/run", ("--process_id=3",), "every host gets the same"),
    (CONFIG, "gs://b/run", ("--coordinator_address=a:1",), "JAX finds it"),
    (CONFIG, "gs://b/run", ("--workdir=gs://c",), "give --workdir before"),
    (CONFIG, "gs://b/run", ("--bundle=gs://b/c",), "/buckets/BUCKET/bundle"),
    (CONFIG, "gs://b/run", ("launch.pretrain",), "is no flag"),
  ],
)
def test_a_command_that_cannot_work_everywhere_is_refused(
  config, workdir, arguments, message
):
  with pytest.raises(ValueError, match=re.escape(message)):
    make_command(config, workdir, arguments)


def test_a_secret_is_named_without_its_value():
  with pytest.raises(ValueError, match="MY_API_KEY") as error:
    make_workload(environment=("MY_API_KEY=hush",))
  assert "hush" not in str(error.value)


def test_no_file_has_anything_of_this_machine(monkeypatch):
  before = write_all(make_workload())
  for name in ("HF_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "USER", "HOME"):
    monkeypatch.setenv(name, "/hushhush")
  after = write_all(make_workload())
  assert before == after
  assert not any("hushhush" in text for text in after.values())


def test_the_files_agree_on_the_command_and_on_restarts():
  workload = make_workload()
  files = write_all(workload)
  # The quoting differs; the words do not.
  for text in files.values():
    places = [text.index(word) for word in workload.command[1:]]
    assert places == sorted(places)
  recovery = yaml.safe_load(files["skypilot"])["resources"]["job_recovery"]
  assert recovery["recover_on_exit_codes"] == list(RESTART_CODES)
