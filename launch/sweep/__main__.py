# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Compare arms that differ in a few fields: equal runs, by seed.

    python -m launch.sweep --config=nsp \
      --config.pretrain.data.store=DIR --workdir=DIR
    python -m launch.sweep --config=nsp --arms=nsp,mlm --seeds=5 …
    python -m launch.sweep --config=nsp --arms=mlm \
      --grid='optimizer.learning_rate=1e-3,2e-3;model.hidden_dropout_rate=0,0.1'
    python -m launch.sweep --config=nsp \
      --probe='rte:task.kind=glue;task.name=rte;task.folder=tfds:glue/rte' …

Trials run one after another, each through `launch.pretrain` and then
`launch.finetune`; `--trials_at_once=2` runs two at a time, each with half of
the devices. A rerun continues with the first trial that is not done, from
its last checkpoint, and tries again those that failed. `WORKDIR/report.html`
shows how the arms compare, seed by seed, and what the trials warned of;
`results.csv`, `results.md`, `results.json` and `report.json` are the same to
read by programs, and `timing.json` has the seconds. `--dry_run` prints what the
trials would cost, and with `--topology=v5e:2x4 --price_per_chip_hour=1.2` the
least on such chips.

The tasks of `--probe` are added to those that the config names, as `nsp_books`
does. A config that names none, as `nsp`, has `--config.finetune.task` alone,
which `--probe` replaces: a line says so, and how to keep both.

Trials may run anywhere: `--backend=commands` or `--backend=jobset` writes the
study and what starts each of its trials, and `--workdir=DIR --collect` gathers
their results.
"""

import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import flags

from bertjax.config import SweepConfig
from bertjax.sweep.comparison import SweepResult
from bertjax.train.program import sharing
from bertjax.trials.store import IDENTITY, RESULT, TrialStore, trial_folder
from launch import cli, host_memory
from launch.commands import shipped_configs
from launch.hosts import start_up
from launch.preflight import policy as policies
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import each_once, settle
from launch.run import ownership
from launch.sweep import backends, shares, study_flags
from launch.sweep.at_once import run_trials_at_once
from launch.sweep.board import Board
from launch.sweep.comparability import judge_code
from launch.sweep.costs import measured_rate
from launch.sweep.elsewhere import collect, run_one, write_study
from launch.sweep.identity import open_store
from launch.sweep.plan import Plan, make_plan
from launch.sweep.report import write_report, write_timing
from launch.sweep.stated import note_margins
from launch.sweep.study_flags import STUDY, from_flags
from launch.sweep.trials import describe_problems, read_seconds, run_trials
from launch.sweep.workdir import check_workdir


def run(
  config: SweepConfig,
  workdir: str,
  policy: Policy = DEFAULT,
  command: str = "",
  trials_at_once: int = 1,
) -> SweepResult:
  """Run the trials that are not done; return the comparison.

  Args:
    config: arms, seeds, and what is equal in all of them.
    workdir: folder of the trials and the results.
    policy: limits of the checks, and which may fail.
    command: the command line, for the report; "" where there was none.
    trials_at_once: trials that run at the same time, in processes of their own.

  Raises:
    ValueError: this machine has fewer devices than trials at once, a field of
      the config cannot be used, or a check of an arm or of its data fails: no
      trial has started. Or a trial failed, or a process that was to run some
      ended: the others are done.
  """
  check_workdir(config, workdir)
  devices = shares.share_devices(trials_at_once)
  shares.leave_devices(devices)
  with each_once():
    plan = make_plan(config, policy)
    print(plan.describe(), flush=True)
    with ownership.locked(pathlib.Path(workdir)) as owner:
      store = open_store(workdir, plan.identity, owner.check_alone)
      settle(judge_code(store, plan.trials, policy), policy)
      note_margins(plan.config, store, plan.trials)
      return _run(plan, store, policy, command, devices)


def dry_run(
  config: SweepConfig,
  workdir: str,
  policy: Policy = DEFAULT,
  flops_per_second: float = 0.0,
  topology: str | None = None,
  price_per_chip_hour: float | None = None,
) -> None:
  """Print the trials, their costs and their differences; write nothing.

  Args:
    config: arms, seeds, and what is equal in all of them.
    workdir: folder whose trials, if it has any, say how fast they are.
    policy: limits of the checks, and which may fail.
    flops_per_second: of a run; 0 takes the speed of the trials in `workdir`.
    topology: chips to reckon the least cost on, such as v5e:2x4.
    price_per_chip_hour: in any currency.

  Raises:
    ValueError: see `make_plan`; or `workdir` has another study, or trials of
      other code, so that `run` would refuse it.
  """
  folder = pathlib.Path(workdir)
  with each_once():
    plan = make_plan(config, policy)
    if (folder / IDENTITY).is_file():
      store = open_store(workdir, plan.identity)
      settle(judge_code(store, plan.trials, policy), policy)
  rate = flops_per_second or measured_rate(folder, plan.trials, plan.costs)
  print(plan.describe(rate))
  print("\n".join(f"trial {trial.name}" for trial in plan.trials))
  if rate:
    left = [
      each
      for each in plan.trials
      if not (trial_folder(folder, each.name) / RESULT).is_file()
    ]
    which = "trials left" if len(left) < len(plan.trials) else "trials"
    print(f"{len(left)} {which}: {plan.describe_hours(left, rate)}")
  elif topology is None:
    # The speed of fine-tuning is not measured.
    first = ", or run one trial here first" if plan.costs else ""
    print(f"give --flops_per_second=RATE for hours{first}")
  if topology is not None:
    from launch.sweep.on_slice import describe_cost  # compiles for TPUs

    print(describe_cost(plan, topology, price_per_chip_hour))


def _run(
  plan: Plan,
  store: TrialStore,
  policy: Policy,
  command: str,
  devices: Sequence[shares.Share],
) -> SweepResult:
  trials = plan.trials
  work = {trial.name: plan.work(trial) for trial in trials}
  board = Board(
    [*work],
    [*work.values()],
    at_once=max(1, len(devices)),
    seconds={each.name: read_seconds(store.path(each)) for each in trials},
  )
  try:
    with board.shown(), sharing():
      given = (plan.config, trials, store, policy, board)
      if devices:
        outcome = run_trials_at_once(*given, devices)
      else:
        outcome = run_trials(*given)
  finally:
    write_timing(store, trials)
  result = write_report(
    plan.config, store, outcome, plan.differences, plan.costs, command
  )
  if problems := describe_problems(outcome, len(trials)):
    raise ValueError(problems)
  return result


def define_flags() -> None:
  """Define the flags; not at import, because others call `run`."""
  shipped_configs.define_flag("nsp:size=tiny")
  flags.DEFINE_string(
    "workdir", None, "Folder for the trials and the results.", required=True
  )
  study_flags.define_flags()
  flags.DEFINE_bool(
    "dry_run",
    False,
    "Print the trials with their parameters, tokens, FLOPs and hours, and in "
    "what they differ; run none.",
  )
  flags.DEFINE_float(
    "flops_per_second",
    0.0,
    "Model FLOP/s of a run, for the hours of --dry_run; 0 takes the speed of "
    "the trials in --workdir.",
    lower_bound=0.0,
  )
  flags.DEFINE_float(
    "price_per_chip_hour",
    None,
    "Price of a chip-hour, in any currency, for --dry_run with --topology.",
  )
  flags.DEFINE_string(
    "trial",
    None,
    "Run one trial of the study that --backend=commands or jobset wrote into "
    "--workdir, by its name.",
  )
  flags.DEFINE_bool(
    "collect",
    False,
    "Compare the trials of the study that --backend=commands or jobset wrote "
    "into --workdir; run none.",
  )
  shares.define_flags()
  backends.define_flags()
  start_up.define_flags()
  policies.define_flags()


def check_flags(values: flags.FlagValues = flags.FLAGS) -> None:
  """Refuse flags that are missing, or that have no effect beside others.

  Raises:
    ValueError: names the flag.
  """
  free = ("topology",) if values.dry_run else ()
  backends.check_flags(values, free)
  chips = values.topology if values.dry_run else None
  backends.check_price(values.price_per_chip_hour, chips)
  backends.check_speed(values.flops_per_second, dry_run=values.dry_run)
  modes = {
    "collect": values.collect,
    "trial": bool(values.trial),
    "dry_run": values.dry_run,
    "backend": values.backend != "here",
    "trials_at_once": values.trials_at_once > 1,
  }
  given = [name for name, is_given in modes.items() if is_given]
  if len(given) > 1:
    raise ValueError(
      f"--{given[1]} has no effect with --{given[0]}; leave it out"
    )
  if not values.collect and not values.trial:
    if values.config is None:
      raise ValueError("give --config=…; --help explains the flags")
    return
  for name in (*STUDY, "allow", "strict", "thresholds"):
    if values[name].present:
      raise ValueError(
        f"--{name} has no effect with --{given[0]}, which reads the study in "
        "--workdir; leave it out"
      )


def rerun_command(arguments: Sequence[str]) -> str:
  """Return the command line of a study, in a folder that is to be named.

  Flags that no result depends on are left out.

  Args:
    arguments: those of the command, without its name.
  """
  kept = []
  for number, word in enumerate(arguments):
    name, equals, _ = word.lstrip("-").partition("=")
    if word.startswith("-") and name.partition(".")[0] in STUDY:
      # The value may be a word of its own.
      kept += arguments[number : number + (1 if equals else 2)]
  return shlex.join(["bertjax", "sweep", *kept, "--workdir=DIR"])


def main(_: Sequence[str]) -> None:
  """Run the sweep of the flags."""
  values = flags.FLAGS
  check_flags(values)
  start_up.start({}, several=False)
  if values.collect:
    collect(values.workdir)
    return
  if values.trial:
    run_one(values.workdir, values.trial)
    return
  policy, config = policies.from_flags(), from_flags(values)
  command = rerun_command(sys.argv[1:])
  if values.dry_run:
    dry_run(
      config,
      values.workdir,
      policy,
      values.flops_per_second,
      values.topology,
      values.price_per_chip_hour,
    )
  elif values.backend != "here":
    make_files = backends.make_files(values.workdir, values)
    write_study(config, values.workdir, policy, command, make_files)
  else:
    run(config, values.workdir, policy, command, values.trials_at_once)


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
