# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The table and the page of a comparison."""

import dataclasses
import json

import pytest

from bertjax.finetune.results import ArmResult
from launch.compare.differences import find_differences
from launch.compare.report import to_page, to_text
from launch.compare.runs import read_run
from launch.run.findings import RunFindings, write_findings
from tests.testing.arm_results import make_found
from tests.testing.browser import measure_page
from tests.testing.compared import write_finetune, write_pretrain
from tests.testing.html_page import HtmlPage


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
  place = tmp_path_factory.mktemp("runs")
  fields = {"batch_size": 16, "data.store": "s" * 90 + "<&>"}
  return [
    read_run(write_pretrain(place / "a")),
    read_run(write_pretrain(place / "b", fields, loss=3.0)),
  ]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
  place = tmp_path_factory.mktemp("runs")
  return [
    read_run(write_finetune(place / name, scores))
    for name, scores in (("a", [0.5, 0.6]), ("b", [0.7, 0.72]))
  ]


def test_the_text_names_what_differs_and_counts_what_does_not(pretrained):
  text = to_text(pretrained, find_differences(pretrained))
  assert f"A: {pretrained[0].folder}\nB: {pretrained[1].folder}" in text
  assert "\nwarning: The runs have not seen equally many tokens" in text
  rows = [line.split(" | ") for line in text.splitlines()]
  (row,) = (row for row in rows if row[0].startswith("| batch_size"))
  assert [cell.strip(" |") for cell in row[1:]] == ["8", "16"]
  assert "s" * 39 + "…" in text
  count = len(pretrained[0].fields)
  assert f"All {count - 2} other fields of the config are equal." in text
  assert "No run says with which versions it was made." in text


def test_the_text_of_finetuning_says_whether_runs_differ(tuned):
  text = to_text(tuned, find_differences(tuned))
  assert "\nB and A are not distinguishable in test accuracy with 2 " in text
  assert "All 2 fields of the config are equal." in text


@pytest.mark.parametrize("write", [write_pretrain, write_finetune])
def test_what_a_run_warned_of_is_in_its_comparison(write, tmp_path):
  given = ([0.5, 0.6],) if write is write_finetune else ()
  first, second = (write(tmp_path / name, *given) for name in "ab")
  if write is write_finetune:
    path = second / "results.json"
    saved = ArmResult.from_json(json.loads(path.read_text()))
    saved = dataclasses.replace(saved, findings=(make_found(),))
    path.write_text(json.dumps(saved.to_json()))
  else:
    write_findings(second, RunFindings(40, (make_found(),)))
  runs = [read_run(first), read_run(second)]
  found, line = find_differences(runs), make_found().line
  assert f"warning of B: {line}" in to_text(runs, found)
  path = tmp_path / "compare.html"
  path.write_text(to_page(runs, found))
  assert f"Of B: {line}." in HtmlPage(path).text


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("kind", ["pretrained", "tuned"])
def test_the_page_has_all_figures_and_fits(kind, width, request, tmp_path):
  runs = request.getfixturevalue(kind)
  path = tmp_path / "compare.html"
  path.write_text(to_page(runs, find_differences(runs)))
  parsed = HtmlPage(path)
  figures = {"pretrained": 5, "tuned": 2}[kind]
  assert parsed.tags["svg"] == figures
  assert all(link.startswith("#") for link in parsed.links)
  needed, said = measure_page(path, width, tmp_path)
  assert needed <= width
  assert said == []


def test_equal_runs_give_equal_pages(pretrained):
  found = find_differences(pretrained)
  assert to_page(pretrained, found) == to_page(pretrained, found)
