# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""In what runs differ, and which of their numbers therefore do not compare."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bertjax.config import FinetuneConfig, PretrainConfig
from bertjax.config.fields import before_path
from bertjax.sweep.matching import TOLERANCE
from bertjax.sweep.study import ROW_FIELDS
from launch.compare.runs import Run

_CONFIGS = {"pretrain": PretrainConfig, "finetune": FinetuneConfig}
UNKNOWN = "not known"
# What decides which rows of the validation split a pre-training run has.
_ROWS = (
  "data.seq_length",
  "data.max_packs",
  *(f"objective.{name}" for name in ROW_FIELDS),
  "evaluation.rows",
)
_ROWS_OF_PHASE_2 = ("phase2.seq_length", "phase2.max_packs")
_MASKS = ("evaluation.mask_rate",)


@dataclasses.dataclass(frozen=True)
class Difference:
  """A field or a fact that is not the same in all runs.

  Attributes:
    name: dotted name of the field, or of the fact.
    values: its value in each run, as text.
  """

  name: str
  values: tuple[str, ...]

  def __str__(self) -> str:
    return f"{self.name} is {' / '.join(self.values)}"


@dataclasses.dataclass(frozen=True)
class Differences:
  """What differs between runs, and what does not.

  Attributes:
    fields: fields of the config that differ.
    equal: {field: value} of all others.
    facts: data, tokenizer and weights that differ.
    equal_facts: {fact: value} of all others.
    versions: packages whose version differs.
    equal_versions: {package: version} of all others.
    cautions: which numbers do not compare, and why, in sentences.
  """

  fields: tuple[Difference, ...]
  equal: Mapping[str, str]
  facts: tuple[Difference, ...]
  equal_facts: Mapping[str, str]
  versions: tuple[Difference, ...]
  equal_versions: Mapping[str, str]
  cautions: tuple[str, ...]


def find_differences(runs: Sequence[Run]) -> Differences:
  """Compare the settings of runs of one kind."""
  kind = runs[0].kind
  before = lambda name: before_path(_CONFIGS[kind], name)
  fields, equal = _split([run.fields for run in runs], before)
  facts, same_facts = _split([run.facts for run in runs])
  versions, same_versions = _split([run.versions for run in runs])
  changed = {each.name: each for each in (*fields, *facts)}
  cautions = _PAIRS[kind](runs, changed)
  return Differences(
    fields=fields,
    equal=equal,
    facts=facts,
    equal_facts=same_facts,
    versions=versions,
    equal_versions=same_versions,
    cautions=tuple(cautions),
  )


def _split(
  values: Sequence[Mapping[str, Any]], before: Any = lambda _: None
) -> tuple[tuple[Difference, ...], dict[str, str]]:
  """Return what differs between mappings, and what is equal in all."""
  differ, equal = [], {}
  for name in sorted({name for each in values for name in each}):
    shown = tuple(
      _text(each[name] if name in each else before(name)) for each in values
    )
    if len(set(shown)) > 1:
      differ.append(Difference(name, shown))
    else:
      equal[name] = shown[0]
  return tuple(differ), equal


def _text(value: Any) -> str:
  if value is None:
    return UNKNOWN
  if isinstance(value, float):
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)
  if isinstance(value, list | tuple):
    return ", ".join(map(_text, value)) or "–"
  return str(value) if value != "" else "–"


def _caution_pretrain(
  runs: Sequence[Run], changed: Mapping[str, Difference]
) -> Iterator[str]:
  rows = [changed[name] for name in _ROWS if name in changed]
  if any(run.fields.get("phase2.steps") for run in runs):
    names = (*_ROWS_OF_PHASE_2, "phase2.steps")
    rows += [changed[name] for name in names if name in changed]
  texts = [changed[n] for n in changed if n == "store" or n.endswith(".stores")]
  if texts:
    yield (
      f"The validation texts are not the same ({_listed(texts)}), so that "
      "losses and accuracies do not compare."
    )
  if "tokenizer" in changed:
    yield (
      f"The tokenizers are not the same ({changed['tokenizer']}): a loss is by "
      "token, and their tokens differ."
    )
  if rows and not texts:
    yield (
      f"The validation rows are not the same ({_listed(rows)}), so that losses "
      "and accuracies compare only roughly."
    )
  if versions := changed.get("rows_version"):
    yield f"Rows are planned otherwise ({versions}): validation rows differ."
  if masks := [changed[name] for name in _MASKS if name in changed]:
    yield (
      f"The validation masks are not the same ({_listed(masks)}), so that "
      "masked-LM losses do not compare."
    )
  yield from _caution_progress(runs)


def _caution_progress(runs: Sequence[Run]) -> Iterator[str]:
  for run in runs:
    steps = run.fields["steps"]
    if run.step < steps:
      yield f"{run.folder} is at step {run.step:,} of {steps:,}."
  tokens = [run.tokens for run in runs]
  if None in tokens:
    return
  seen = [each for each in tokens if each is not None]
  if max(seen) > (1 + TOLERANCE) * min(seen):
    yield (
      "The runs have not seen equally many tokens "
      f"({' / '.join(f'{each:,}' for each in seen)}): compare them where their "
      "curves over tokens have the same number."
    )


def _caution_finetune(
  runs: Sequence[Run], changed: Mapping[str, Difference]
) -> Iterator[str]:
  results = [run.result for run in runs if run.result is not None]
  if len({each.scores.metric for each in results}) > 1:
    names = " / ".join(each.scores.metric for each in results)
    yield f"The learning rates were chosen by other scores ({names})."
  for split in ("dev", "test"):
    if each := changed.get(f"examples.{split}"):
      yield (
        f"The examples of {split} are not the same ({each}), so that its scores"
        " do not compare."
      )
  if "examples.train" in changed:
    yield (
      f"The training examples are not the same ({changed['examples.train']})."
    )
  if "labels" in changed:
    yield "The labels are not the same, so that scores do not compare."
  budgets = {
    (len(each.scores.selection), len(each.scores.seeds)) for each in results
  }
  if len(budgets) > 1:
    rates = " / ".join(str(len(each.scores.selection)) for each in results)
    seeds = " / ".join(str(len(each.scores.seeds)) for each in results)
    yield (
      f"The budgets are not the same ({rates} learning rates, {seeds} seeds): "
      "the best of more is better by chance."
    )
  yield from _caution_seeds(runs)


def _caution_seeds(runs: Sequence[Run]) -> Iterator[str]:
  """Name the seeds that are left out where runs are compared by seed."""
  first, *others = [
    (run.folder, {*run.result.scores.seeds})
    for run in runs
    if run.result is not None
  ] or [(None, set())]
  for folder, seeds in others:
    if lone := sorted(seeds ^ first[1]):
      yield (
        f"{first[0]} and {folder} do not both have the seeds "
        f"{', '.join(map(str, lone))}, which are left out where they are "
        "compared seed by seed."
      )


_PAIRS = {"pretrain": _caution_pretrain, "finetune": _caution_finetune}


def _listed(differences: Sequence[Difference]) -> str:
  return "; ".join(map(str, differences))
