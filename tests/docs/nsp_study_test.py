# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""docs/nsp_study.md describes the study that its commands run."""

import json
import pathlib
import re
import statistics
import subprocess

from bertjax.config import SweepConfig, check_read, from_mapping
from bertjax.sweep import study
from bertjax.sweep.axes import expand, parse_task
from configs.sweeps import nsp, nsp_books
from data_pipelines.tasks.book_pairs import SPLITS, TASKS
from launch.commands.shipped_configs import SHIPPED

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "nsp_study.md").read_text(encoding="utf-8")
SEEDS_DONE = 3
NUMBERS = ("no", "one", "two", "three", "four", "five")
# What the table of results calls a metric.
METRICS = {
  **{
    name: (name,)
    for name in (
      "follows_other_document_accuracy",
      "follows_same_document_accuracy",
      "shared_mlm_loss",
    )
  },
  **{
    name: (f"{name}_accuracy", f"{name}_matthews", f"{name}_f1")
    for name in ("which_follows", "banking77", "cola", "rte", "xquad")
  },
}
COMMANDS, WITH_PAIRS = re.findall(
  r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)


def first_cells(section):
  """The names in the first column of the tables of a section."""
  text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
  return re.findall(r"^\| `([\w…]+)`", text, re.MULTILINE)


def test_every_arm_is_described():
  pairs = [name for name in nsp.PAIRS if f"sentence_{name}" in nsp.ARMS]
  single = [name for name in nsp.ARMS if name.endswith("_sentences")]
  assert len(nsp.ARMS) == 2 * len(pairs) + len(single)
  assert first_cells("Arms") == [*pairs, "sentence_…", *single]


def test_every_probe_and_every_task_of_pairs_is_described():
  made = nsp_books.get_config().to_dict()
  names = study.probe_tasks(from_mapping(SweepConfig, made))
  text = PAGE.partition("\n## Probes\n")[2].lower()
  assert all(f"| `{name}` |" in text or f"| {name}" in text for name in names)
  assert {*TASKS} < {*first_cells("Probes")}


def test_the_commands_use_the_folders_of_the_config():
  name = re.findall(r"sweep --config=(\w+):", COMMANDS)
  assert name == ["nsp_books"]
  assert name[0] in SHIPPED
  outputs = re.findall(r"--output=(\S+)", COMMANDS)
  assert outputs == [nsp_books.STORE, nsp_books.FOLDERS["pairs"]]


def test_flags_add_the_other_tasks_of_pairs():
  show = 'bertjax() { printf "%s\\n" "$@"; }\nDATA=D\n'
  words = subprocess.run(
    ["bash", "-c", show + WITH_PAIRS],
    capture_output=True,
    text=True,
    check=True,
  ).stdout.splitlines()
  (argument,) = (
    w.partition(":")[2] for w in words if w.startswith("--config=")
  )
  probes = dict(
    parse_task(w.removeprefix("--probe="))
    for w in words
    if w.startswith("--probe=")
  )
  made = nsp_books.get_config(argument).to_dict()
  names = {*made["probes"]["tasks"]}
  assert {*TASKS} <= {*probes} | names
  assert not {*probes} & names
  made["probes"]["tasks"] |= probes
  config = expand(from_mapping(SweepConfig, made))
  for name in probes:
    tuned = study.finetune_config(config, "mlm", 0, name)
    check_read(tuned)
    folder = f"{nsp_books.FOLDERS['pairs']}/{name}"
    assert [tuned.task.train, tuned.task.dev, tuned.task.test] == [
      f"{folder}/{split}.jsonl" for split in SPLITS
    ]
    assert (tuned.task.text, tuned.task.text_pair) == ("sentence1", "sentence2")


def found_by_trials(folder):
  """{(arm, metric): its values, by seed} of the records that the page keeps."""
  values = {}
  trials = ROOT / "docs/studies/nsp" / folder / "trials"
  for path in sorted(trials.glob("*/result.json")):
    found = json.loads(path.read_text())
    if found["settings"]["seed"] < SEEDS_DONE:
      for name, value in found["result"].items():
        key = found["settings"]["arm"], name.removeprefix("probe_")
        values.setdefault(key, []).append(value)
  return values


def rows_of(table):
  """(first word, other cells) of each row of results in a table."""
  rows = r"^\| (`?\w+`?),? ?.*?\| (\d.*) \|$"
  return [
    (title.strip("`"), cells.split(" | "))
    for title, cells in re.findall(rows, table, re.MULTILINE)
  ]


def results_on(corpus):
  """The text of the section of results."""
  return PAGE.partition(f"\n## Results on {corpus}\n")[2].partition("\n## ")[0]


def spread(values):
  assert len(values) == SEEDS_DONE
  return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def test_the_table_of_books_is_what_the_trials_found():
  values = found_by_trials("books")
  table = results_on("books").partition("\n### ")[0]
  rows = rows_of(table)
  assert len(rows) == 8
  arms = re.findall(r"`(\w+)`", table.partition("| probe |")[2].split("\n")[0])
  assert {*arms} == {arm for arm, _ in values}
  for name, cells in rows:
    for arm, cell in zip(arms, cells, strict=True):
      (key,) = (
        key
        for key in values
        if key[0] == arm and key[1] in METRICS[name.lower()]
      )
      assert cell == spread(values[key]), (name, arm)


def test_the_table_of_more_pairs_is_what_fine_tuning_found():
  path = ROOT / "docs/studies/nsp/books/pair_tasks.json"
  found = json.loads(path.read_text())
  table = results_on("books").partition("| task |")[2]
  rows = rows_of(table)
  arms = re.findall(r"`(\w+)`", table.split("\n")[0])
  assert [name for name, _ in rows] == [*found]
  for name, cells in rows:
    for arm, cell in zip(arms, cells, strict=True):
      assert cell == spread(found[name][arm]), (name, arm)
  best = [f"{value:.3f}" for value in found["order"]["mlm_nsp"][1:]]
  assert f"reach {' and '.join(best)} on `order`" in " ".join(table.split())


def test_what_the_page_says_of_books_is_the_reports():
  report = json.loads((ROOT / "docs/studies/nsp/books/report.json").read_text())
  text = " ".join(results_on("books").split()).replace("−", "-")
  found = report["comparisons"]
  assert f"Of the {len(found)} differences none is distinguishable" in text
  assert {each["conclusion"] for each in found} == {"undecided"}
  ends = [
    (each["mean"], each["interval"]["low"], each["interval"]["high"])
    for each in found
  ]
  apart = [each for each in ends if each[1] * each[2] > 0]
  assert f"{NUMBERS[len(apart)]} intervals leave out zero" in text
  for numbers in apart:
    mean, low, high = (f"{each:+.3f}".replace("+", r"\+?") for each in numbers)
    assert re.search(rf"\({mean}, {low} to {high}\)", text)


def test_what_the_seeds_of_books_agree_on_is_what_the_trials_found():
  values = found_by_trials("books")
  text = " ".join(results_on("books").split())
  others = {arm for arm, _ in values} - {"mlm_nsp"}
  gains = {
    (arm, metric): [
      theirs - ours
      for theirs, ours in zip(values[arm, metric], base, strict=True)
    ]
    for metric in ("shared_mlm_loss", "banking77_accuracy")
    for base in [values["mlm_nsp", metric]]
    for arm in others
  }
  for arm in others:
    lower = [-gain for gain in gains[arm, "shared_mlm_loss"]]
    assert min(lower) > 0
    quoted = rf"{min(lower):.2f} (to|and) {max(lower):.2f} (nats )?for `{arm}`"
    assert re.search(quoted, text), quoted
  points = [
    100 * gain for arm in others for gain in gains[arm, "banking77_accuracy"]
  ]
  assert f"by {min(points):.1f} to {max(points):.1f} points" in text
  for metric, words in (
    ("follows_other_document_accuracy", "by {:.0f} to {:.0f} points where"),
    ("follows_same_document_accuracy", "by {:.1f} to {:.0f} where"),
  ):
    lost = [
      100 * (ours - theirs)
      for arm in others
      for theirs, ours in zip(
        values[arm, metric], values["mlm_nsp", metric], strict=True
      )
    ]
    assert words.format(min(lost), max(lost)) in text


def test_where_runs_on_pairs_of_books_end_is_what_the_trials_found():
  values = found_by_trials("books")
  text = " ".join(results_on("books").split())
  listed = "{:.2f}, {:.2f} and {:.2f}".format
  for arm in ("mlm_nsp", "sop"):
    assert f"end at {listed(*values[arm, 'shared_mlm_loss'])}" in text
  right = [100 * value for value in values["mlm_nsp", "nsp_accuracy"]]
  assert "accuracy of {:.1f}, {:.1f} and {:.1f} %".format(*right) in text


def test_the_table_of_pythons_prose_is_what_the_trials_found():
  values, table = found_by_trials("python"), results_on("Python's prose")
  rows = rows_of(table)
  assert [arm for arm, _ in rows] == [*nsp.ARMS]
  header = table.partition("| arm |")[2].split("\n")[0]
  metrics = ["accuracy", *re.findall(r"`(\w+)`", header)]
  for arm, cells in rows:
    for metric, cell in zip(metrics, cells, strict=True):
      assert cell == spread(values[arm, metric]), (arm, metric)


def test_what_the_page_says_of_pythons_prose_is_the_reports():
  report = json.loads(
    (ROOT / "docs/studies/nsp/python/report.json").read_text()
  )
  text = " ".join(results_on("Python's prose").split()).replace("−", "-")
  quoted = {
    ("sentence_mlm_nsp", "probe_accuracy"),
    ("sentence_sop", "probe_accuracy"),
    ("nsp_rows", "mlm_accuracy"),
    ("sentence_mlm", "shared_mlm_loss"),
    ("full_sentences", "shared_mlm_loss"),
  }
  for each in report["comparisons"]:
    if (each["name"], each["metric"]) in quoted:
      assert each["conclusion"] == "different"
      interval = each["interval"]
      assert f"{each['mean']:.3f}" in text
      assert f"{interval['low']:.3f} to {interval['high']:.3f}" in text
      quoted.remove((each["name"], each["metric"]))
  assert not quoted
  lower = [
    each
    for each in report["comparisons"]
    if each["metric"] == "shared_mlm_loss" and max(each["differences"]) < 0
  ]
  assert len(lower) == len(nsp.ARMS) - 1, "the page says: every other arm"


def test_what_random_partners_cost_is_what_the_trials_found():
  found = {}
  for path in (ROOT / "docs/studies/nsp/python/trials").glob("*/result.json"):
    record = json.loads(path.read_text())
    settings = record["settings"]
    found[settings["arm"], settings["seed"]] = record["result"][
      "probe_accuracy"
    ]
  gains = [
    found["mlm", seed] - found["nsp_rows", seed] for seed in range(SEEDS_DONE)
  ]
  text = " ".join(results_on("Python's prose").split())
  assert f"better by {min(gains):.3f} to {max(gains):.3f} in each seed" in text
