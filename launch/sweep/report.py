# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write what a study found: `report.json`, and tables of what is in it.

`report.json` has no clock: costs are tokens, steps and FLOPs, so that a study
that was killed and resumed has the same bytes. Seconds are in `timing.json`.
`results.csv` has one line for each trial and measure, and `report.html` shows
all of it; `results.json` and `results.md` have the comparison alone, and what
the trials warned of.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax import files
from bertjax.config import SweepConfig, to_mapping
from bertjax.sweep import study
from bertjax.sweep.answer import answer
from bertjax.sweep.choice import Choice, choose_on_dev
from bertjax.sweep.comparison import (
  Scores,
  SweepResult,
  compare,
  table,
  verdicts,
)
from bertjax.sweep.differences import Differences
from bertjax.sweep.margins import read_margins
from bertjax.trials.store import IDENTITY, Trial, TrialStore
from launch.reports import sweep_report
from launch.sweep.comparability import describe_codes
from launch.sweep.costs import ArmCost
from launch.sweep.curves import read_curves
from launch.sweep.examples import read_examples
from launch.sweep.findings import FINDINGS, study_findings
from launch.sweep.points import compare_points, describe_points
from launch.sweep.published import find_published
from launch.sweep.stated import describe_margins
from launch.sweep.tokens_read import describe_tokens, tokens_seen
from launch.sweep.trials import (
  COST,
  POINTS,
  Outcome,
  read_seconds,
  shared_seeds,
)

REPORT = "report.json"
TIMING = "timing.json"
PAGE = "report.html"
CSV = "results.csv"
JSON, TABLE = "results.json", "results.md"
# What a report replaces in the folder of its study.
REPLACED = (JSON, TABLE, REPORT, TIMING, PAGE, CSV)
_COLUMNS = (
  *("trial", "arm", "seed", "state", "compared"),
  *("share_of_steps", "measure", "value"),
)


def write_report(
  config: SweepConfig,
  store: TrialStore,
  outcome: Outcome,
  differences: Differences,
  costs: Mapping[str, ArmCost],
  command: str = "",
) -> SweepResult:
  """Compare the arms that are done, and write all files.

  Args:
    config: the config that ran.
    store: the folder of the study.
    outcome: what became of the trials.
    differences: in what the arms differ.
    costs: of each arm; none where a bundle is fine-tuned.
    command: the command line that ran it, if there was one.

  Raises:
    ValueError: no seed of the baseline is done in all arms.
  """
  result, choice = _compare(config, outcome)
  margins = read_margins(config.margins)
  groups = study.equal_rows(config) if config.trains == "pretrain" else None
  trials = study.make_trials(config)
  told = study_findings(config, store, trials, outcome.results)
  result = dataclasses.replace(result, findings=told.findings)
  examples = read_examples(config, store, trials, result)
  comparisons = verdicts(result, groups or (), margins, examples.differences)
  metric = next(iter(result.arms[result.baseline]))
  points = compare_points(config, outcome, result.baseline)
  seen = tokens_seen(outcome)
  read, unlike = describe_tokens(config, seen)
  notes = _notes(config, store, outcome, result)
  notes += [*told.missing, *examples.missing]
  if unlike:
    notes.insert(0, f"{read} {unlike}")
    read = ""
  report = {
    "answer": {"metric": metric, "sentence": answer(comparisons, metric)},
    "notes": notes,
    "tokens_read": read,
    **result.to_json(),
    "comparisons": [each.to_json() for each in comparisons],
    **_of_config(config, costs),
    "tokens_seen": seen,
    "differences": differences.to_json(),
    "choice": choice and choice.to_json(),
    "failed": sorted(outcome.failed),
    "trials": [_describe(outcome, result, each) for each in trials],
    "points": {share: each.to_json() for share, each in points.items()},
    "curves": _curves(config, store, outcome, trials),
    "identity": json.loads((store.folder / IDENTITY).read_bytes()),
    "command": command,
  }
  parts = [table(result, groups, comparisons)] + [str(choice)] * bool(choice)
  parts += [f"Warning: {each.summary}" for each in told.findings]
  parts += [*describe_points(points), *filter(None, [read]), *notes]
  _write(store, result, json.loads(json.dumps(report)), "\n".join(parts) + "\n")
  return result


def _curves(
  config: SweepConfig,
  store: TrialStore,
  outcome: Outcome,
  trials: Sequence[Trial],
) -> dict[str, Any]:
  """Return the curves; the report that is to be replaced may have some."""
  done = [each for each in trials if _result(outcome, each) is not None]
  path = store.folder / REPORT
  earlier = json.loads(path.read_bytes())["curves"] if path.is_file() else {}
  return read_curves(store, done, config.trains, earlier)


def _of_config(
  config: SweepConfig, costs: Mapping[str, ArmCost]
) -> dict[str, Any]:
  """Return what is known before the first trial."""
  tuned = config.trains == "finetune"
  return {
    "question": config.question,
    "margins": read_margins(config.margins),
    "trains": config.trains,
    "match": config.match,
    "probes": to_mapping(config.probes),
    "changes": {arm: dict(config.arms[arm]) for arm in config.chosen},
    "base": to_mapping(config.finetune if tuned else config.pretrain),
    "finetune": to_mapping(config.finetune),
    "planned_costs": {
      arm: costs[arm].to_json() for arm in config.chosen if costs
    },
    "published": [each.to_json() for each in find_published(config)],
  }


def _compare(
  config: SweepConfig, outcome: Outcome
) -> tuple[SweepResult, Choice | None]:
  """Return the comparison of the arms, and the one that dev chooses."""
  scores = shared_seeds(outcome, config.chosen)
  baseline = study.compared_with(config)
  if baseline not in scores:
    raise ValueError(
      f"no seed of {baseline} is done in all arms, and nothing can be "
      f"compared: {outcome.failures}"
    )
  choice = None
  if config.trains == "finetune":
    everything = compare(scores, baseline).arms
    choice = choose_on_dev(everything, config.finetune.metric)
    # Arms are compared on dev: test is for the chosen one alone.
    scores = _on_dev(scores)
  return compare(scores, baseline), choice


def _notes(
  config: SweepConfig,
  store: TrialStore,
  outcome: Outcome,
  result: SweepResult,
) -> list[str]:
  """Return what a reader has to know beside the numbers, in sentences."""
  notes = []
  if len(result.seeds) == 1:
    notes.append(
      "One seed: no difference here has a spread to compare it with."
    )
  if len(result.seeds) < config.seeds:
    notes.append(
      f"Arms are compared on the {len(result.seeds)} of {config.seeds} seeds "
      "that all of them have done."
    )
  missing = [arm for arm in config.chosen if arm not in result.arms]
  if missing:
    notes.append(f"Arms without a trial that is done: {', '.join(missing)}.")
  if outcome.failed:
    notes.append(
      f"Trials that failed and are not compared: "
      f"{', '.join(sorted(outcome.failed))}. The same command tries them again."
    )
  measured = {name for values in result.arms.values() for name in values}
  notes += [
    f"The margin of {metric} has no effect: the study measures "
    f"{', '.join(sorted(measured))}."
    for metric in read_margins(config.margins)
    if metric not in measured
  ]
  notes += describe_codes(store, study.make_trials(config))
  return [*notes, *describe_margins(config, store)]


def _result(outcome: Outcome, trial: Trial) -> Mapping[str, Any] | None:
  arm, seed = trial.settings["arm"], trial.settings["seed"]
  return outcome.results.get(arm, {}).get(seed)


def _describe(
  outcome: Outcome, result: SweepResult, trial: Trial
) -> dict[str, Any]:
  """Return what became of a trial, its cost and its measures."""
  arm, seed = trial.settings["arm"], trial.settings["seed"]
  found = _result(outcome, trial)
  values = {} if found is None else dict(found)
  cost = values.pop(COST, {})
  earlier = values.pop(POINTS, {})
  values.pop(FINDINGS, None)
  measures = next(iter(result.arms.values()))
  if all(name.startswith("dev_") for name in measures):
    # Test is for the arm that dev chose.
    values = {n: v for n, v in values.items() if n.startswith("dev_")}
  return {
    "trial": trial.name,
    "arm": arm,
    "seed": seed,
    "state": _state(outcome, trial),
    "compared": found is not None and seed in result.seeds,
    "cost": cost,
    "values": values,
    "points": earlier,
  }


def _state(outcome: Outcome, trial: Trial) -> str:
  if _result(outcome, trial) is not None:
    return "done"
  return "failed" if trial.name in outcome.failed else "not done"


def to_csv(trials: Sequence[Mapping[str, Any]]) -> str:
  """Return CSV of the trials of a report: a line for each measure of each.

  A trial that failed has one line, without a measure.
  """
  file = io.StringIO()
  writer = csv.writer(file, lineterminator="\n")
  writer.writerow(_COLUMNS)
  for trial in trials:
    about = [trial[name] for name in _COLUMNS[:4]]
    about.append("yes" if trial["compared"] else "no")
    places = {**trial["points"], "1": trial["values"]}
    for share, values in places.items():
      for name, value in values.items() or [("", "")]:
        writer.writerow([*about, share, name, value])
  return file.getvalue()


def _write(
  store: TrialStore, result: SweepResult, report: Mapping[str, Any], text: str
) -> None:
  store.guard()
  folder = store.folder
  files.write_json(folder / JSON, result.to_json(), allow_nan=False)
  files.write_json(folder / REPORT, report, allow_nan=False)
  files.write_text(folder / CSV, to_csv(report["trials"]))
  files.write_text(folder / TABLE, text)
  sweep_report.write(folder / PAGE, folder / REPORT, folder / TIMING)
  print(f"{text}\nThe page of the study: {folder / PAGE}", flush=True)


def _on_dev(scores: Mapping[str, Scores]) -> dict[str, Scores]:
  return {
    arm: {
      seed: {n: value for n, value in row.items() if n.startswith("dev_")}
      for seed, row in by_seed.items()
    }
    for arm, by_seed in scores.items()
  }


def write_timing(store: TrialStore, trials: Sequence[Trial]) -> None:
  """Write the seconds of each trial, over all calls."""
  store.guard()
  seconds = {trial.name: read_seconds(store.path(trial)) for trial in trials}
  files.write_json(
    store.folder / TIMING,
    {"trials": seconds, "seconds": sum(seconds.values())},
    allow_nan=False,
  )
