# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.corpora import folders

ARTIFACTS = {
  "store": ["manifest.json", "train.blocks.npy"],
  "unfinished store": ["lock", "journal.json"],
  "bundle": ["bundle.json"],
  "workdir of a run": ["metrics.jsonl", "timing.jsonl", "config.json"],
  "model or tokenizer": ["vocab.txt", "tokenizer_config.json"],
}


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_what_a_program_writes_is_told_from_text(kind):
  assert folders.find_artifact("a/b", [*ARTIFACTS[kind], "a.txt"]) == kind


def test_text_beside_files_of_common_names_is_text():
  for names in (
    ["a.txt", "manifest.json"],  # of a web page
    ["a.txt", "config.json"],
    ["a.txt", "lock"],
    ["vocab.txt"],
    [],
  ):
    assert folders.find_artifact("a/b", names) == ""
  weights = ["config.json", "pytorch_model.bin"]
  assert folders.find_artifact("a", weights) == "model or tokenizer"
  assert folders.find_artifact("a/b.partial", ["lock"]) == "unfinished store"


def test_files_are_counted_by_suffix_and_never_by_name():
  names = {
    "a.md": ".md",
    "B.MD": ".md",
    "c.md.gz": ".md.gz",
    "d.gz": ".gz",
    "e": "without suffix",
    "f.00017": "without suffix",
    "g.a sentence": "without suffix",
    ".h.md": "hidden",
  }
  sieve = folders.Sieve(lambda name: False)
  for name in names:
    assert not sieve.takes(f"folder/{name}")
  assert list(sieve.passed_over.values()) == list(names.values())
  counts = folders.count_labels(names.values())
  assert counts[".md"] == 2
  words = "1 .gz, 2 .md, 1 .md.gz, 1 hidden, 3 without suffix"
  assert folders.describe_passed_over(counts) == words
  assert folders.count_unread(counts) == 7
  written = dict.fromkeys((*ARTIFACTS, "description of a data set"), 3)
  assert folders.count_unread(written) == 0
  assert folders.count_unread({folders.SEVERAL_SPLITS: 1, "folder x/": 2}) == 3
