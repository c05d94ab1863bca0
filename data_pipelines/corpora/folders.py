# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which folders hold text, and how files that are not read are counted."""

import pathlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from data_pipelines.corpora.compression import COMPRESSIONS

# Files that only a model or a tokenizer has beside it.
_MODEL = {
  "tokenizer_config.json",
  "tokenizer.json",
  "special_tokens_map.json",
  "spiece.model",
  "bert_config.json",
  "bertjax.json",
}
_WEIGHTS = {".safetensors", ".bin", ".h5", ".msgpack"}
# Written by the package datasets beside the files of a data set.
_DESCRIPTIONS = {
  "state.json",
  "dataset_info.json",
  "dataset_infos.json",
  "dataset_dict.json",
}
SEVERAL_SPLITS = "data set of several splits"
# Endings that are numbers or words of a name would give one count a file.
_SUFFIX = re.compile(r"\.[a-z][a-z0-9_]{0,9}")
_NO_SUFFIX = "without suffix"
HIDDEN = "hidden"
_DESCRIPTION = "description of a data set"
_ARTIFACTS = (
  *("store", "unfinished store", "bundle", "workdir of a run"),
  "model or tokenizer",
)


def find_artifact(folder: str, names: Collection[str]) -> str:
  """Return what a program wrote into a folder, "" where it may hold text.

  Args:
    folder: path of the folder.
    names: names of the files in it.
  """
  have, suffixes = set(names), {pathlib.PurePath(n).suffix for n in names}
  if "manifest.json" in have and suffixes & {".array_record", ".npy"}:
    return "store"
  if "dataset_dict.json" in have:
    return SEVERAL_SPLITS
  if "lock" in have and ("journal.json" in have or folder.endswith(".partial")):
    return "unfinished store"
  if "bundle.json" in have:
    return "bundle"
  if have >= {"metrics.jsonl", "timing.jsonl"}:
    return "workdir of a run"
  if have & _MODEL or ("config.json" in have and suffixes & _WEIGHTS):
    return "model or tokenizer"
  return ""


class Sieve:
  """Decides what below a place is read, and notes what is passed over.

  Attributes:
    passed_over: what is passed over, by path: the suffix of a file, or what a
      folder is.
  """

  def __init__(
    self, known: Callable[[str], bool], excluded: Collection[str] = ()
  ) -> None:
    """Decide by `known`, which returns whether a file's name can be read.

    Args:
      known: see above.
      excluded: folders that are left out and not noted, because they are made
        by the command that reads.
    """
    self._known = known
    self._excluded = excluded
    self._entered: dict[str, bool] = {}
    self.passed_over: dict[str, str] = {}

  def enters(
    self, folder: str, real: str, names: Callable[[], Collection[str]]
  ) -> bool:
    """Return whether files of a folder are text; asks once for each folder.

    Args:
      folder: path of the folder.
      real: its path without links.
      names: returns the names of the files in it.
    """
    if folder not in self._entered:
      label = ""
      if real not in self._excluded:
        label = find_artifact(folder, names())
        if label:
          self.passed_over[folder] = label
      self._entered[folder] = not label and real not in self._excluded
    return self._entered[folder]

  def takes(self, path: str) -> bool:
    """Return whether a file is read, by its name."""
    if is_hidden(path):
      self.passed_over[path] = HIDDEN
    elif path.rpartition("/")[2] in _DESCRIPTIONS:
      self.passed_over[path] = _DESCRIPTION
    elif not self._known(path):
      self.passed_over[path] = _suffix(path)
    else:
      return True
    return False


def is_hidden(path: str) -> bool:
  """Return whether the last step of a path is a hidden name."""
  return path.rstrip("/").rpartition("/")[2].startswith(".")


def count_labels(passed_over: Iterable[str]) -> dict[str, int]:
  """Count what was passed over by its label, in a fixed order."""
  return dict(sorted(Counter(passed_over).items()))


def count_unread(counts: Mapping[str, int]) -> int:
  """Count what was passed over that may be text, by its label."""
  known = (HIDDEN, _DESCRIPTION, *_ARTIFACTS)
  return sum(count for label, count in counts.items() if label not in known)


def describe_passed_over(counts: Mapping[str, int]) -> str:
  """Return counts of what was passed over as words, "" for none."""
  return ", ".join(f"{count:,} {label}" for label, count in counts.items())


def _suffix(name: str) -> str:
  path = pathlib.PurePosixPath(name.lower())
  suffix = path.suffix
  before = path.with_suffix("").suffix if suffix in COMPRESSIONS else ""
  if _SUFFIX.fullmatch(before):
    return before + suffix
  return suffix if _SUFFIX.fullmatch(suffix) else _NO_SUFFIX
