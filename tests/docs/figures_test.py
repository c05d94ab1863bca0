# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of the docs are those that a benchmark wrote."""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORD = json.loads((ROOT / "benchmarks/cpu/amd_epyc.json").read_text())
FIGURES = [figure for row in RECORD["rows"] for figure in row["figures"]]
# What the page's columns call a peer.
PEERS = {
  "PyTorch": "PyTorch",
  "torch.compile": "torch.compile",
  "ONNX Runtime": "ONNX Runtime, float32",
  "own float32": "bertjax, float32",
}


def is_rounded(text, value):
  """Whether a number of a page is `value` in as many places."""
  places = len(text.partition(".")[2])
  return abs(float(text) - value) <= 0.5001 * 10.0**-places


def test_the_table_side_by_side_is_what_the_suite_wrote():
  section = PAGE.partition("\n## Side by side\n")[2].partition("\n## ")[0]
  header, *rows = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)
  assert header.startswith("what | ours |")
  columns = header.split(" | ")[2:]
  read = 0
  for row in rows:
    what, ours, *peers = (cell.strip() for cell in row.split("|"))
    if not what.startswith(("train step", "inference")):
      continue
    found = {each["of"]: each for each in FIGURES if each["what"] == what}
    assert is_rounded(ours, next(iter(found.values()))["ours"]), what
    for column, cell in zip(columns, peers, strict=True):
      if not cell:
        continue
      seconds, ratio = cell.split(", ")
      figure = found[PEERS[column]]
      assert is_rounded(seconds, figure["peer"]), (what, column)
      assert is_rounded(ratio, figure["ratio"]), (what, column)
      read += 1
  assert read > 15


def test_what_the_page_calls_missed_is_missed():
  missed = {
    (each["what"], each["of"])
    for each in FIGURES
    if each["met"] is False and each["peer"]
  }
  assert missed == {
    ("train step, BERT-tiny 16 × 128, bfloat16", "bertjax, float32"),
    ("train step, BERT-base 32 × 128, float32, muon", "bertjax, AdamW"),
    ("inference, BERT-mini 16 × 128, float32", "ONNX Runtime, float32"),
  }


def test_readme_has_the_same_figures():
  by = {(each["what"], each["of"]): each for each in FIGURES}
  step = by["train step, BERT-base 8 × 128, float32", "PyTorch"]
  assert f"{step['ours']:.2f} s | PyTorch {step['peer']:.2f} s" in README
  narrow = by["train step, BERT-base 8 × 128, bfloat16", "PyTorch"]
  assert f"{narrow['ours']:.2f} s | PyTorch's autocast" in README
