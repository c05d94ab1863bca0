# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A study whose trials run in processes of their own, on any machines.

The study stands in its folder, which all machines share: config, policy and
code. Each trial runs by its name, in its folder, and a last command gathers
what is there.
"""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bertjax import files
from bertjax.config import SweepConfig, from_mapping, to_mapping
from bertjax.sweep.comparison import SweepResult
from bertjax.trials.store import IDENTITY, Trial, TrialStore, refuse_change
from launch.preflight.findings import Finding, judge, listed
from launch.preflight.policy import Policy
from launch.preflight.settle import each_once, settle
from launch.run import ownership
from launch.sweep.board import Board
from launch.sweep.comparability import code_version, judge_code, read_code
from launch.sweep.identity import NEWER, before_field, open_store
from launch.sweep.plan import Plan, make_plan
from launch.sweep.report import write_report, write_timing
from launch.sweep.stated import note_margins
from launch.sweep.trials import ERROR, Outcome, run_trials
from launch.sweep.workdir import check_workdir

# The file in the folder of the study that its trials read.
STUDY = "study.json"
# (the study, trials) → {name of a file in its folder: text}.
MakeFiles = Callable[[Plan, Sequence[Trial]], Mapping[str, str]]


class Study(NamedTuple):
  """What stands in the folder of a study.

  Attributes:
    config: config as the user gave it.
    policy: limits of the checks, and which may fail.
    code: hash of the code that wrote it.
    command: command line of the study, for its report.
  """

  config: SweepConfig
  policy: Policy
  code: str
  command: str


def write_study(
  config: SweepConfig,
  workdir: str,
  policy: Policy,
  command: str,
  make_files: MakeFiles,
) -> None:
  """Check a study, and write it and what starts its trials.

  Args:
    config: arms, seeds, and what is equal in all of them.
    workdir: folder of the trials, which the machines share.
    policy: limits of the checks, and which may fail.
    command: command line of the study, for its report.
    make_files: makes the files that start the trials which are not done.

  Raises:
    ValueError: see `make_plan`, or from `make_files`; nothing is written.
  """
  check_workdir(config, workdir)
  with each_once():
    plan = make_plan(config, policy)
    print(plan.describe(), flush=True)
    make_files(plan, plan.trials)  # refuses before anything is written
    with ownership.locked(pathlib.Path(workdir)) as owner:
      store = open_store(workdir, plan.identity, owner.check_alone)
      settle(judge_code(store, plan.trials, policy), policy)
      note_margins(plan.config, store, plan.trials)
      study = {
        "config": to_mapping(config),
        "policy": {
          "allow": sorted(policy.allow),
          "strict": sorted(policy.strict),
          "thresholds": dict(policy.thresholds),
        },
        "code": code_version(),
        "command": command,
      }
      files.write_json(store.folder / STUDY, study, allow_nan=False)
      left = [each for each in plan.trials if store.result(each) is None]
      for name, text in make_files(plan, left).items():
        path = store.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)
        print(f"wrote {path}", flush=True)
  print(
    f"{len(left)} of {len(plan.trials)} trials are to run; then give "
    f"--workdir={workdir} --collect"
  )


def read_study(workdir: str) -> Study:
  """Return the study of a folder.

  Raises:
    ValueError: no study is there, or this version does not know a field.
  """
  path = pathlib.Path(workdir) / STUDY
  if not path.is_file():
    raise ValueError(
      f"{path} is not there; write the study first, with --config=… and "
      f"--backend=commands --workdir={workdir}"
    )
  saved = json.loads(path.read_bytes())
  policy = saved["policy"]
  return Study(
    from_mapping(SweepConfig, saved["config"]),
    Policy(
      frozenset(policy["allow"]),
      frozenset(policy["strict"]),
      policy["thresholds"],
    ),
    saved["code"],
    saved["command"],
  )


def run_one(workdir: str, name: str) -> None:
  """Run a trial of the study in a folder, or continue it.

  Raises:
    ValueError: there is no such trial, its folder is of another study or of
      other code, or it failed.
  """
  study = read_study(workdir)
  with each_once():
    plan = make_plan(study.config, study.policy)
    trial = next((each for each in plan.trials if each.name == name), None)
    if trial is None:
      raise ValueError(
        f"--trial={name}: {pathlib.Path(workdir) / STUDY} has no such trial; "
        f"give one of {listed([each.name for each in plan.trials])}"
      )
    store = open_store(workdir, plan.identity)
    folder = store.path(trial)
    refuse_stranger(folder, plan.identity)
    if store.result(trial) is None:
      here = [(store.folder / STUDY, study.code, code_version())]
      settle(_judge_codes(here, study.policy), study.policy)
      folder.mkdir(parents=True, exist_ok=True)
      files.write_json(folder / IDENTITY, plan.identity, allow_nan=False)
    board = Board([name], [plan.work(trial)])
    with board.shown():
      outcome = run_trials(plan.config, [trial], store, study.policy, board)
  if outcome.failed:
    raise ValueError(
      f"{outcome.failures}; {folder / ERROR} has the traceback, and the same "
      "command tries again"
    )


def collect(workdir: str) -> SweepResult:
  """Gather the results of the trials in a folder, and compare the arms.

  Raises:
    ValueError: a trial is of another study or of other code. Or trials are not
      done: the others are compared.
  """
  study = read_study(workdir)
  with each_once():
    plan = make_plan(study.config, study.policy)
    with ownership.locked(pathlib.Path(workdir)) as owner:
      store = open_store(workdir, plan.identity, owner.check_alone)
      outcome, left = gather(store, plan, study)
      write_timing(store, plan.trials)
      result = write_report(
        plan.config,
        store,
        outcome,
        plan.differences,
        plan.costs,
        study.command,
      )
  if left:
    raise ValueError(
      f"{len(left)} of {len(plan.trials)} trials are not done, and the others "
      f"are compared: {listed(left)}; run them, and give --collect again"
    )
  return result


def gather(
  store: TrialStore, plan: Plan, study: Study
) -> tuple[Outcome, list[str]]:
  """Return the outcomes of the trials, and the names of unfinished trials.

  Raises:
    ValueError: a trial is of another study or of other code.
  """
  for trial in plan.trials:
    refuse_stranger(store.path(trial), plan.identity)
  codes = [
    (store.path(trial), found, study.code)
    for trial in plan.trials
    if (found := read_code(store.path(trial)))
  ]
  settle(_judge_codes(codes, study.policy), study.policy)
  names = {trial.name for trial in plan.trials}
  if others := sorted(
    path.name
    for path in store.path(plan.trials[0]).parent.glob("*")
    if path.name not in names
  ):
    print(f"not of this study, and left out: {listed(others)}", flush=True)
  outcome, left = Outcome({}, {}), []
  for trial in plan.trials:
    arm, seed = trial.settings["arm"], trial.settings["seed"]
    result = store.result(trial)
    if result is not None:
      outcome.results.setdefault(arm, {})[seed] = result
      continue
    left.append(trial.name)
    error = store.path(trial) / ERROR
    if error.is_file():
      outcome.failed[trial.name] = f"see {error}"
  return outcome, left


def refuse_stranger(folder: pathlib.Path, identity: Any) -> None:
  """Refuse the folder of a trial that ran for another study.

  Raises:
    ValueError: the message names the folder, the field and both values.
  """
  path = folder / IDENTITY
  if path.is_file():
    saved = json.loads(path.read_bytes())
    refuse_change(folder, saved, identity, before_field, NEWER)


def _judge_codes(
  codes: Sequence[tuple[pathlib.Path, str, str]], policy: Policy
) -> list[Finding]:
  """Judge (where it stands, the code there, the code here) of each."""
  others = [each for each in codes if each[1] != each[2]]
  if not others:
    return []
  path, there, here = others[0]
  more = f", as {len(others) - 1} more" if len(others) > 1 else ""
  return [
    judge(
      "trials_of_other_code",
      len(others),
      f"{path} was made with code={there[:12]!r}, not {here[:12]!r}{more}, so "
      "that differences may be those of the code",
      "run every trial with one code, or remove the folder and run it again",
      policy,
    )
  ]
