# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/tasks run as they are printed, on small data."""

import contextlib
import importlib
import json
import pathlib
import re
import shlex

import pytest
from absl import flags

from bertjax.checkpoints.bundle import read_pretrained
from bertjax.config import FinetuneConfig, from_mapping
from launch import evaluate, tasks
from launch.commands.table import COMMANDS
from launch.inference import forms
from tests.testing import glue_folders, small, squad_files

pytestmark = pytest.mark.usefixtures("small_programs")

ROOT = pathlib.Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "tasks").glob("*.md"))
DATA_SETS = (
  *("banking77", "clinc150", "cola", "rte", "sts_b", "wnut17", "xquad_en"),
)
# What makes a run small: few steps of few texts, on rows of 16 tokens.
SMALL = {
  "steps": "2",
  "seeds": "1",
  "learning_rates": "(1e-2,)",
  "evaluations": "1",
  "batch_size": "8",
  "evaluation_batch_size": "16",
  "seq_length": "16",
}
OF_SPANS = {"task.stride": "8", "task.max_question_length": "4"}


def commands(page):
  """The words of each command in the blocks of a page, in order."""
  text = page.read_text(encoding="utf-8")
  for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S):
    for line in block.replace("\\\n", " ").splitlines():
      name, *words = shlex.split(line)
      assert name == "bertjax", f"{page}: {line}"
      yield words


def named(words, flag):
  found = (word.partition("=") for word in words)
  return next((value for name, _, value in found if name == f"--{flag}"), "")


def runs_of(page):
  """The commands of each model of a page: those that name its folder."""
  found: dict[str, list[list[str]]] = {}
  for words in commands(page):
    folder = named(words, "workdir") or named(words, "bundle")
    found.setdefault(folder.removesuffix("/model"), []).append(words)
  return found


def write_rows(path, header, rows):
  path.parent.mkdir(exist_ok=True)
  lines = [",".join(map(str, row)) for row in rows]
  path.write_text("\n".join((header, *lines)) + "\n")


def write_words(path, seed):
  lines = []
  for text, label in small.make_texts(12, seed):
    for word in text.removesuffix(".").split():
      is_name = word in small.WORDS[label]
      lines.append(f"{word}\t{f'B-{label}' if is_name else 'O'}\n")
    lines.append("\n")
  path.parent.mkdir(exist_ok=True)
  path.write_text("".join(lines))


def write_questions(path, seed):
  path.parent.mkdir(exist_ok=True)
  paragraphs = []
  for number, (text, label) in enumerate(small.make_texts(8, seed)):
    answer = next(w for w in text.split() if w in small.WORDS[label])
    context = f"{text} " + "a " * number
    paragraphs.append((context, [("the river", answer)]))
  squad_files.write(path, *paragraphs)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  """A folder with small data in the form of each data set of the pages."""
  folder = tmp_path_factory.mktemp("data")
  for seed, name in enumerate(("train", "dev", "test")):
    texts = small.make_texts(24, seed)
    write_rows(folder / f"banking77/{name}.csv", "text,category", texts)
    topics = [
      (text, ("fish", '"fish,tree"', "")[number % 3])
      for number, (text, _) in enumerate(texts)
    ]
    write_rows(folder / f"topics/{name}.csv", "text,label", topics)
    ratings = [(text, n % 5 + 0.5) for n, (text, _) in enumerate(texts)]
    write_rows(folder / f"ratings/{name}.csv", "text,stars", ratings)
    choices = [
      (text, "the", "cod", "elm", "oak", "pike", n % 4)
      for n, (text, _) in enumerate(texts)
    ]
    header = "sent1,sent2,ending0,ending1,ending2,ending3,label"
    write_rows(folder / f"swag/{name}.csv", header, choices)
    write_words(folder / f"wnut17/{name}.conll", seed)
    write_questions(folder / f"xquad_en/{name}.json", seed)
  (folder / "clinc150").mkdir()
  splits = {
    name: small.make_texts(24, seed)
    for seed, name in enumerate(("train", "val", "test"))
  } | {f"oos_{name}": [("a hill", "oos")] for name in ("train", "val", "test")}
  (folder / "clinc150/data_full.json").write_text(json.dumps(splits))
  question = {"question": "the river", "context": "the cod by the hill"}
  (folder / "questions.jsonl").write_text(json.dumps(question) + "\n")
  glue_folders.make(
    folder / "glue_data",
    24,
    lambda _, row: small.make_texts(2, row)[row % 2][0],
  )
  for name, title in {"cola": "CoLA", "rte": "RTE", "sts_b": "STS-B"}.items():
    (folder / name).symlink_to(folder / "glue_data" / title)
  return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
  return small.make_bundle(tmp_path_factory.mktemp("tasks") / "bundle")


@pytest.fixture
def parse(data, bundle, monkeypatch):
  """Parses the flags of a command, which are gone after it."""

  @contextlib.contextmanager
  def parsed(words):
    command, *rest = (
      word.replace("DATA/", f"{data}/").replace("BUNDLE", bundle)
      for word in words
    )
    changes = {}
    if command == "finetune":
      changes = SMALL | (OF_SPANS if "squad" in words[1] else {})
    given = [
      word
      for word in rest
      if word.partition("=")[0].removeprefix("--config.") not in changes
    ]
    given += [f"--config.{name}={value}" for name, value in changes.items()]
    argv = [command, *given]
    if command == "evaluate":
      argv = evaluate.add_config(argv)
    monkeypatch.setattr("sys.argv", argv)
    before = set(flags.FLAGS)
    module = importlib.import_module(COMMANDS[command])
    try:
      module.define_flags()
      assert flags.FLAGS(argv) == [command], "everything is a flag"
      yield module
    finally:
      for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)

  return parsed


def test_each_data_set_is_trained_scored_and_predicted():
  found = {}
  for page in PAGES:
    for folder, words in runs_of(page).items():
      found[pathlib.Path(folder).name] = [each[0] for each in words]
  for name in DATA_SETS:
    assert found[name][:3] == ["finetune", "evaluate", "predict"], name


def test_original_files_are_predicted_as_they_are():
  predicted = {
    named(words, "bundle").split("/")[-2]: words
    for page in PAGES
    for words in commands(page)
    if words[0] == "predict"
  }
  for name in ("clinc150", "cola", "rte", "sts_b"):
    words = predicted[name]
    assert named(words, "input").startswith(f"DATA/{name}/"), name
    assert not named(words, "text_column"), name


def test_every_format_of_predict_is_on_the_page():
  text = (ROOT / "docs/tasks/shared.md").read_text(encoding="utf-8")
  for name in forms.FORMATS:
    shown = "glue/NAME" if name.startswith("glue/") else name
    assert f"\n| `{shown}` |" in text, name


def test_each_page_of_a_task_has_its_parts_in_order():
  for page in PAGES:
    if page.stem == "shared":
      continue
    text = page.read_text(encoding="utf-8")
    parts = ("## Data", "bertjax finetune", "bertjax evaluate")
    parts += ("bertjax predict", "bertjax export")
    parts += ("## What the scores mean", "## What goes wrong")
    places = [text.index(part) for part in parts]
    assert places == sorted(places), page.name


def test_each_score_that_may_choose_is_explained():
  explained = {}
  for page in PAGES:
    text = page.read_text(encoding="utf-8")
    part = text.partition("## What the scores mean")[2].partition("## ")[0]
    explained[page.stem] = set(re.findall(r"`(\w+)`", part))
  explained["classification"] = explained["texts"]
  for name, task in tasks.TASKS.items():
    assert not set(task.metrics) - explained[name], name


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_parses_and_its_data_are_read(page, parse, bundle):
  info = read_pretrained(bundle)
  for words in commands(page):
    with parse(words):
      if words[0] != "finetune":
        continue
      config = from_mapping(FinetuneConfig, flags.FLAGS.config.to_dict())
      data, _ = tasks.load_data(config, info.model, info.tokenizer_path)
      assert {"train", "dev"} <= set(data.splits)


def whole_pages():
  for page in PAGES:
    for folder in runs_of(page):
      if folder == "BUNDLE":  # of a pre-trained bundle, which is random here
        continue
      short = folder == "runs/banking77"
      yield pytest.param(
        page,
        folder,
        id=f"{page.stem}-{pathlib.Path(folder).name}",
        marks=() if short else pytest.mark.full,
      )


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize(("page", "folder"), [*whole_pages()])
def test_the_commands_of_a_page_run(page, folder, parse, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  # It joins other processes before JAX starts, which it has here.
  monkeypatch.setattr("launch.hosts.start_up.start", lambda _: None)
  for words in runs_of(page)[folder]:
    with parse(words) as module:
      module.main([])
    output = named(words, "output")
    assert not output or pathlib.Path(output).exists(), output
