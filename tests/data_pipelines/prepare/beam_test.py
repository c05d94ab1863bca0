# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import pathlib
import subprocess
import sys

import pytest

from data_pipelines.tokenizers import tokenizers

ROOT = pathlib.Path(__file__).parents[3]
TEXTS = [
  f"Tale {i}. The old man fished for {i * 7} days. He caught {i} fish.\n\n"
  f"Then the sea was calm, and {'very ' * (i % 9)}blue as it had been before."
  for i in range(200)
]


def command(python, *arguments):
  return subprocess.run(
    [str(python), "-m", "launch.prepare", *map(str, arguments)],
    capture_output=True,
    text=True,
    check=False,
    cwd=ROOT,
    timeout=300,
  )


# "Xyz." is an abbreviation in these, which only a sample can tell.
LEARNED = [
  f"The Xyz. {name} came, and the Xyz. went home with the Xyz. of the town. "
  for name in ("Ann", "Bob", "Tom", "Sue")
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
  folder = tmp_path_factory.mktemp("beam")
  texts = [*TEXTS[:150], *(text * 5 for text in LEARNED)]
  with gzip.open(folder / "a.jsonl.gz", "wt") as file:
    file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
  (folder / "b.txt").write_text("\n\n".join(TEXTS[150:]) + "\n\n\u200b")
  tokenizers.train(TEXTS, "wordpiece", 90).save(folder / "tokenizer")
  return folder


def arguments(corpus, output, *more):
  return (
    f"--corpus={corpus}/*.gz,{corpus}/b.txt",
    f"--output={output}",
    f"--tokenizer={corpus}/tokenizer",
    "--documents=blank_line",
    "--min_characters=3",
    "--deduplicate=paragraphs",
    *more,
  )


def test_without_beam_a_runner_is_one_line_that_names_the_page(
  corpus, tmp_path
):
  done = command(
    sys.executable,
    *arguments(corpus, tmp_path / "store"),
    "--runner=DirectRunner",
    "--direct_num_workers=1",
  )
  assert done.returncode == 1
  assert done.stderr.startswith("error: runner=DirectRunner needs Apache Beam")
  assert "launch/BEAM.md" in done.stderr
  assert list(tmp_path.iterdir()) == []


def test_flags_of_beam_are_refused_without_a_runner(corpus, tmp_path):
  done = command(
    sys.executable, *arguments(corpus, tmp_path / "s"), "--direct_num_workers=1"
  )
  assert done.returncode == 1
  assert "direct_num_workers" in done.stderr


def test_workers_are_not_for_a_runner(corpus, tmp_path):
  done = command(
    sys.executable,
    *arguments(corpus, tmp_path / "s"),
    "--runner=DirectRunner",
    "--workers=2",
  )
  assert done.returncode == 1
  assert "leave --workers out" in done.stderr


@pytest.fixture(scope="module")
def python():
  """The interpreter of an environment with Beam, made if there is none."""
  version = ".".join(map(str, sys.version_info[:2]))
  made = subprocess.run(
    ["make", "beam", f"PYTHON={sys.executable}"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  if made.returncode:
    last = (made.stderr.strip().splitlines() or ["?"])[-1]
    pytest.skip(f"no environment with Apache Beam: {last}")
  return ROOT / ".venv" / f"{version}-beam" / "bin" / "python"


def files(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob("*"))
    if path.is_file() and not path.name.startswith("report.")
  }


@pytest.mark.full
@pytest.mark.parametrize(
  "options",
  [
    (),
    ("--direct_num_workers=2", "--direct_running_mode=multi_processing"),
  ],
)
def test_beam_makes_the_same_store_to_the_byte(
  options, corpus, tmp_path, python
):
  here = command(sys.executable, *arguments(corpus, tmp_path / "here"))
  assert here.returncode == 0, here.stderr
  there = command(
    python,
    *arguments(corpus, tmp_path / "there"),
    "--runner=DirectRunner",
    *options,
  )
  assert there.returncode == 0, there.stderr
  made = files(tmp_path / "there")
  assert files(tmp_path / "here") == made
  # The workers have cut sentences by what was learned from the sample.
  assert "xyz" in json.loads(made["sentences.json"])["learned"]
  assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "there"]


@pytest.mark.full
def test_mistakes_reach_the_user_as_without_beam(corpus, tmp_path, python):
  bad = tmp_path / "bad.jsonl"
  bad.write_text('{"title": "x"}\n')
  done = command(
    python,
    f"--corpus={bad},{corpus}/b.txt",
    f"--output={tmp_path}/store",
    f"--tokenizer={corpus}/tokenizer",
    "--runner=DirectRunner",
  )
  assert done.returncode == 1
  last = done.stderr.strip().splitlines()[-1]
  assert last.startswith(f'error: {bad}:1: no "text" field (it has title)')
  assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]
  for flags, message in (
    (("--runner=DirectRunner", "--projekt=3"), "has --projekt=3"),
    (("--runner=SparkRunner",), "give --temp_location="),
  ):
    done = command(python, *arguments(corpus, tmp_path / "store"), *flags)
    assert done.returncode == 1
    assert message in done.stderr.strip().splitlines()[-1]
