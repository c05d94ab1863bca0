# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a study."""

import html
import inspect
import json
import pathlib
import re
import shlex
import sys

import pytest

from bertjax.sweep.findings import TrialFinding
from launch.reports import sweep_report
from launch.sweep.report import CSV, PAGE, REPORT, TIMING
from tests.testing import studies
from tests.testing.arm_results import make_found
from tests.testing.browser import measure_page, print_page
from tests.testing.html_page import HtmlPage

# Numbers that the words of the page have, of no study.
WORDS = {"95", "90", "80", "0.001"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
  """Three arms with three seeds, a trial that failed, and one without files."""
  return studies.write_study(
    tmp_path_factory.mktemp("study"),
    studies.make_config(
      arms=("mlm_nsp", "nsp_rows", "mlm"),
      seeds=4,
      margins="probe_accuracy=0.02",
    ),
    failed=("mlm-seed3",),
    without=("nsp_rows-seed1",),
    found=find,
  )


def find(arm, seed):
  """All trials warn of the text, an arm of its steps, a seed of a failure."""
  found = [("pre-training", make_found("unknown_tokens", figure=31))]
  if arm == "mlm":
    found.append(("pre-training", make_found("epochs", figure=70 + seed)))
  if (arm, seed) == ("nsp_rows", 2):
    found.append(("probe <rte>", make_found(level="fail")))
  return [TrialFinding(*each) for each in found]


def read(folder):
  return [json.loads((folder / name).read_text()) for name in (REPORT, TIMING)]


def numbers_of(value):
  """All numbers of a JSON, those inside of its texts as well."""
  if isinstance(value, dict):
    value = [*value, *value.values()]
  if isinstance(value, list):
    return {number for each in value for number in numbers_of(each)}
  if isinstance(value, str):
    return {float(found.replace(",", "")) for found in numbers_in(value)}
  if isinstance(value, bool) or value is None:
    return set()
  return {float(value)}


def numbers_in(text):
  return re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?", text)


def is_shown(text, numbers):
  """Whether a number with its decimals is one of `numbers`, rounded."""
  value = float(text.replace(",", ""))
  digits = re.split("e", text.partition(".")[2])[0]
  half = 0.5000001 * 10 ** -len(digits)
  if "e" in text:
    half *= 10 ** int(text.partition("e")[2])
  return any(abs(abs(each) - value) <= half for each in numbers)


@pytest.mark.parametrize("which", ["study", "probed"])
def test_every_number_on_the_page_is_in_the_report(which, request):
  study = request.getfixturevalue(which)
  report, timing = read(study)
  trials = report["trials"]
  known = numbers_of(report) | numbers_of(timing)
  known |= {
    float(sum(each["state"] == "done" for each in trials)),
    float(len(trials)),
    *(float(len(report[name])) for name in ("arms", "seeds")),
    timing["seconds"] / 3600,
    *(
      sum(each["arm"] == arm and each["state"] == "done" for each in trials)
      for arm in report["arms"]
    ),
    *(
      sum(seen.values()) / len(seen) for seen in report["tokens_seen"].values()
    ),
  }
  source = re.sub(
    r"(?s)<svg.*?</svg>|<style>.*?</style>|<!--.*?-->|<[^>]*>",
    " ",
    (study / PAGE).read_text(),
  )
  shown = [
    each for each in numbers_in(html.unescape(source)) if each not in WORDS
  ]
  assert len(shown) > 100
  assert [each for each in shown if not is_shown(each, known)] == []


def test_the_page_answers_first_and_has_all_figures(study):
  report, _ = read(study)
  page = HtmlPage(study / PAGE)
  text = " ".join(page.text)
  assert page.titles == []
  assert text.index("Does next-sentence") < text.index(
    report["answer"]["sentence"]
  )
  assert "Liu et al. (2019)" in text
  assert "published" in text
  # Differences in four metrics, and two curves of two arms.
  assert page.tags["svg"] == 4 + 2 * 2
  assert all(link.startswith("#") for link in page.links)
  for word in ("mlm-seed3", "0123456789ab", "bertjax sweep", "a" * 64):
    assert word in text
  assert "±0.02 in probe accuracy" in text
  assert "would be needed" in text
  assert "Holm’s correction for" in text


def test_each_finding_of_the_trials_is_told_once_before_the_results(study):
  report, _ = read(study)
  source = " ".join(html.unescape((study / PAGE).read_text()).split())
  top = source[: source.index("<h2>Results</h2>")]
  text = (study / "results.md").read_text()
  told = [
    ("Pre-training in all trials: 31 of 60", 1),
    ("Pre-training in arm mlm (seed 2): 72 of 60", 1),
    ("Probe <rte> in arm nsp_rows (seed 2): 54 of 60", 1),
    ("Pre-training in arm mlm (seed 0): 70 of 60", 0),
  ]
  for words, in_text in told:
    assert top.count(words) == source.count(words) == 1, words
    assert text.count(f"Warning: {words}") == in_text, words
  assert top.count(' bad">') == 1
  assert "limit 0); fix: remove them." in top
  assert "2 more findings of this check" in text
  saved = json.loads((study / "results.json").read_text())
  assert len(saved["findings"]) == 3
  assert saved["findings"] == report["findings"]


def test_a_report_of_an_earlier_version_has_a_page_without_findings(study):
  report, timing = read(study)
  del report["findings"]
  assert sweep_report.make_view(report, timing)["findings"] == []


def test_one_seed_without_curves_is_said_to_be_that(tmp_path):
  config = studies.make_config(arms=("mlm_nsp", "mlm"), seeds=1)
  studies.write_study(tmp_path, config, curves=False)
  page = HtmlPage(tmp_path / PAGE)
  text = " ".join(page.text)
  assert "There is one seed: a difference has no interval" in text
  assert "Learning curves" not in text
  assert "±" not in text
  assert page.tags["svg"] == 1  # losses are of other rows


def test_probes_on_the_way_are_curves_to_the_end(tmp_path):
  arms = ("mlm_nsp", "mlm")
  config = studies.make_config(arms, seeds=2, probes={"at": (0.5, 1.0)})
  studies.write_study(tmp_path, config, curves=False)
  view = sweep_report.make_view(*read(tmp_path))
  curve, _ = view["points"]
  assert curve["metric"] == "probe accuracy"
  assert ">share of the steps</text>" in curve["panels"][0][0]
  table = (tmp_path / CSV).read_text()
  assert "mlm-seed1,mlm,1,done,yes,0.5,probe_accuracy,0.3" in table
  assert "mlm-seed1,mlm,1,done,yes,1,probe_accuracy,0.6" in table


def test_hostile_names_are_text(tmp_path):
  arms = ("mlm_nsp", studies.HOSTILE)
  config = studies.make_config(arms=arms, seeds=2, question="<b>Is it?</b>")
  studies.write_study(tmp_path, config)
  page = HtmlPage(tmp_path / PAGE)
  assert page.tags["script"] == page.tags["b"] - len(
    re.findall('class="card"', page.source)
  )
  assert page.tags["script"] == 0
  assert studies.HOSTILE in page.text
  assert page.source.count("<title>") == 1


def test_equal_numbers_are_not_drawn_again(study, monkeypatch):
  page = study / PAGE
  before = page.read_bytes()
  monkeypatch.setattr(sweep_report, "make_view", None)
  sweep_report.write(page, study / REPORT, study / TIMING)
  assert page.read_bytes() == before
  other = study / "other.json"
  other.write_text((study / TIMING).read_text() + " ")
  with pytest.raises(TypeError):
    sweep_report.write(page, study / REPORT, other)


def test_other_code_draws_the_page_again(study, monkeypatch):
  made = sweep_report.sources()
  folder = pathlib.Path(sweep_report.__file__).parent
  assert set(folder.glob("templates/*.html")) < set(made)
  names = {
    part.__name__ if inspect.ismodule(part) else part.__module__
    for part in vars(sweep_report).values()
    if inspect.ismodule(part)
    or inspect.isroutine(part)
    or inspect.isclass(part)
  }
  # `files` hashes and writes; what it does does not show on the page.
  written_by = {
    name: pathlib.Path(inspect.getfile(sys.modules[name]))
    for name in names - {"bertjax.files"}
    if name.startswith(("bertjax.", "launch."))
  }
  assert {"bertjax.sweep.differences", "bertjax.trials.markdown"} < {
    *written_by
  }
  assert set(written_by.values()) < set(made)
  monkeypatch.setattr(sweep_report, "make_view", None)
  monkeypatch.setattr(sweep_report, "sources", lambda: made[1:])
  with pytest.raises(TypeError):
    sweep_report.write(study / PAGE, study / REPORT, study / TIMING)


def test_arms_beyond_what_a_page_draws_are_named(study, monkeypatch):
  report, timing = read(study)
  monkeypatch.setattr(sweep_report, "MOST_PANELS", 1)
  curves = sweep_report.make_view(report, timing)["curves"]
  assert {each["left_out"] for each in curves} == {"mlm"}
  assert {len(each["panels"]) for each in curves} == {1}


def test_a_study_without_a_question_or_comparisons_has_a_page(study):
  report, timing = read(study)
  view = sweep_report.make_view(
    {**report, "question": "", "comparisons": [], "published": []}, timing
  )
  assert view["question"] == "A study of objective.next_sentence"
  assert view["forests"] == []


@pytest.mark.full
@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("which", ["study", "probed"])
def test_a_browser_shows_the_page_without_errors(
  which, width, tmp_path, request
):
  study = request.getfixturevalue(which)
  needed, said = measure_page(study / PAGE, width, tmp_path)
  assert said == []
  assert needed <= width


@pytest.mark.full
@pytest.mark.parametrize("which", ["study", "probed"])
def test_the_page_prints(which, tmp_path, request):
  study = request.getfixturevalue(which)
  printed, said = print_page(study / PAGE, tmp_path)
  assert said == []
  assert printed.startswith(b"%PDF")
  assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 12


def test_a_command_has_a_line_for_each_flag_and_stays_that_command(study):
  report, timing = read(study)
  command = "bertjax sweep --arms mlm,sop '--grid=a=1;b --c=2' --workdir=DIR"
  shown = sweep_report.make_view({**report, "command": command}, timing)[
    "command"
  ]
  assert shown.splitlines() == [
    "bertjax sweep \\",
    "  --arms mlm,sop \\",
    "  '--grid=a=1;b --c=2' \\",
    "  --workdir=DIR",
  ]
  assert shlex.split(shown.replace("\\\n", "")) == shlex.split(command)


def test_the_baseline_is_the_first_arm_of_tables(tmp_path):
  config = studies.make_config(arms=("mlm", "mlm_nsp"), seeds=1)
  studies.write_study(tmp_path, config, curves=False)
  view = sweep_report.make_view(*read(tmp_path))
  for table in ("arms", "costs"):
    assert [row[0] for row in view[table]] == ["mlm_nsp", "mlm"]
