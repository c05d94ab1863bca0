# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tune a bundle, or random parameters of its shape, for a task.

    python -m launch.finetune --config=finetune:task=stdlib \
      --bundle=DIR --workdir=DIR [--init=scratch]

The learning rate is chosen on dev, then several seeds are scored on test.
`WORKDIR/results.json`, `results.md` and `report.html` have the scores, their
spread, curves and mistakes, and `WORKDIR/model` is
the run that is best on dev, for `launch.predict`. A rerun continues with the
first trial that is not done. With `--reference_store=DIR`, a store that
`launch.prepare` wrote, every run tells how much of pre-training it has
forgotten.

On several hosts, run the same command on each, with a workdir, a bundle and
data that all of them see, as for `launch.pretrain`.
"""

import functools
import itertools
import pathlib
from collections.abc import Iterable, Sequence

import jax
from absl import flags

from bertjax.checkpoints import bundle as bundles
from bertjax.config import FinetuneConfig, flatten_fields, from_mapping
from bertjax.finetune import checks, results_page
from bertjax.finetune.arm import Arm
from bertjax.finetune.experiment import Report, Result
from bertjax.finetune.results import RESULTS, ArmResult
from bertjax.finetune.resuming import Stopped
from bertjax.finetune.review import Review
from bertjax.finetune.trial import DivergedTrial, TrialInputs
from bertjax.parallel import multihost, shared_folder
from bertjax.trials.finding import FoundWrong
from bertjax.trials.store import IDENTITY, Trial
from data_pipelines.tasks.figures import TaskFigures
from launch import cli, host_memory, tasks
from launch.commands import output_paths, shipped_configs
from launch.hosts import preemption, start_up
from launch.preflight import policy as policies
from launch.preflight.findings import Finding, found_wrong, of_results
from launch.preflight.memory import judge_trials
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import settle, write_record
from launch.preflight.task import describe, judge_results, judge_task
from launch.reports import finetune_report
from launch.run import dtypes, ownership
from launch.run.reference_rows import open_reference

REPORT = "report.html"
_REPLACED = (RESULTS, "results.md", REPORT, "model")


def run(
  config: FinetuneConfig,
  bundle: str,
  workdir: str,
  init: str = "bundle",
  policy: Policy = DEFAULT,
  watch: Report = lambda *_: None,
  reference_store: str = "",
) -> ArmResult:
  """Run the trials of an arm that are not done; return its results.

  Args:
    config: how to train, and on which data.
    bundle: folder of a pre-trained bundle; an arm from "scratch" has its
      shape and its tokenizer, and random parameters.
    workdir: folder of the results and the best model.
    init: "bundle" or "scratch".
    policy: limits of the checks, and which may fail.
    watch: called for every trial, after its line is printed.
    reference_store: store on which each trial measures what it has forgotten;
      "" measures nothing.

  Raises:
    ValueError: an argument, a field of `config` or a file of the task cannot
      be used, or a check fails.
    SystemExit: a signal stopped a trial; its state is saved.
  """
  output_paths.check_folder("workdir", workdir)
  output_paths.check_begun("workdir", workdir, _REPLACED, (IDENTITY,))
  read = {"bundle": bundle, "reference_store": reference_store}
  output_paths.check_outside("workdir", workdir, read)
  task_files = tasks.files_of(config.task)
  output_paths.check_outside("workdir", workdir, task_files)
  arm, figures = multihost.run_on_all(
    "arm",
    lambda: _make_arm(config, bundle, init, reference_store),
    facts=lambda made: flatten_fields(made[0].identity()),
  )
  dtypes.warn_of(config.compute.dtype, jax.local_devices()[0])
  findings = judge_task(
    figures, config.seq_length, arm.info.details.tokens_per_word, policy
  )
  _say(*describe(figures, config.seq_length))
  _settle(findings, policy)
  report = functools.partial(_report, init, arm.config.metric, watch)
  result = _run_trials(arm, figures, workdir, findings, policy, report)
  _say(results_page.table([result], arm.task))
  _say(f"model: {pathlib.Path(workdir) / 'model'}")
  _settle(judge_results(result, policy), policy)
  return result


def _make_arm(
  config: FinetuneConfig, bundle: str, init: str, reference_store: str
) -> tuple[Arm, TaskFigures]:
  """Check the config, and read the bundle and the data."""
  checks.check_init(init)
  checks.check_layers(config, init)
  info = bundles.read_pretrained(bundle)
  reference = (
    open_reference(reference_store, info, init) if reference_store else None
  )
  task = tasks.find(config.task)
  config = checks.with_metric(config, task)
  data, tokenizer_sha256 = tasks.load_data(
    config, info.model, info.tokenizer_path
  )
  arm = Arm(task, data, info, config, init, tokenizer_sha256, reference)
  return arm, data.figures


def _say(*lines: str) -> None:
  """Print lines on process 0."""
  if multihost.is_first():
    for line in lines:
      print(line, flush=True)


def _settle(findings: Iterable[Finding], policy: Policy) -> None:
  """Settle findings on process 0, for all."""
  found = list(findings)
  multihost.broadcast_from_first("findings", lambda: settle(found, policy))


def _run_trials(
  arm: Arm,
  figures: TaskFigures,
  workdir: str,
  findings: list[Finding],
  policy: Policy,
  report: Report,
) -> ArmResult:
  """Run the trials that are not done, and record what the user allowed."""
  folder = pathlib.Path(workdir)

  def check(inputs: TrialInputs, seeds: Sequence[int]) -> None:
    found = list(judge_trials(inputs, seeds, policy))
    findings.extend(found)
    _settle(found, policy)

  def judge(result: ArmResult) -> Iterable[FoundWrong]:
    findings.extend(judge_results(result, policy))
    return found_wrong(of_results(findings), policy)

  folder.mkdir(parents=True, exist_ok=True)
  shared_folder.check_shared(folder)
  with (
    ownership.locked(folder) as owner,
    cli.Signals(preemption.make_preemption_sync()) as signals,
  ):
    # Steps of a trial begin anew with the next one, and must not go back.
    questions = itertools.count()
    try:
      result = arm.run(
        workdir,
        report,
        owner.check,
        lambda: signals.requested(next(questions)),
        functools.partial(_write_report, folder, arm, figures),
        check,
        judge,
      )
    except Stopped as stopped:
      signals.leave(
        f"{stopped} in {workdir}; run the same command again to resume"
      )
    if multihost.is_first():
      write_record(workdir, findings, policy)
  return result


def _write_report(
  folder: pathlib.Path,
  arm: Arm,
  figures: TaskFigures,
  result: ArmResult,
  review: Review,
) -> None:
  """Write `report.html`."""
  cut = finetune_report.tell_cut(
    figures.splits[result.scored],
    arm.config.seq_length,
    arm.config.task.max_question_length,
  )
  finetune_report.write(folder / REPORT, result, review, arm.task, cut)
  print(f"report: {folder / REPORT}", flush=True)


def _report(
  init: str,
  metric: str,
  watch: Report,
  trial: Trial,
  result: Result,
  seconds: float,
) -> None:
  rate, seed = trial.settings["learning_rate"], trial.settings["seed"]
  if isinstance(result, DivergedTrial):
    scores = result.diverged
  else:
    scores = f"dev {metric} {result.dev[metric]:.4f}"
    if result.test:
      scores += f", test {metric} {result.test[metric]:.4f}"
    scores += f" (best at step {result.best_step})"
    if result.forgetting:
      before, after = (
        result.forgetting.mlm_loss_before,
        result.forgetting.mlm_loss,
      )
      scores += f", masked-LM loss {before:.4f} → {after:.4f}"
  spent = f"{seconds:.1f} s" if seconds else "done before"
  _say(f"{init}: rate {rate:g}, seed {seed}: {scores}, {spent}")
  watch(trial, result, seconds)


def define_flags() -> None:
  """Define the flags; not at import, because others call `run`."""
  shipped_configs.define_flag("finetune:task=stdlib")
  flags.DEFINE_string(
    "bundle", None, "Folder of a pre-trained bundle.", required=True
  )
  flags.DEFINE_string(
    "workdir", None, "Folder for the results and the model.", required=True
  )
  flags.DEFINE_enum(
    "init",
    "bundle",
    checks.INITS,
    "Initial parameters: those of the bundle, or random ones (scratch).",
  )
  flags.DEFINE_string(
    "reference_store",
    "",
    "Folder of launch.prepare; each run tells what it has forgotten of it.",
  )
  flags.mark_flag_as_required("config")
  start_up.define_flags()
  policies.define_flags()


def main(_: Sequence[str]) -> None:
  """Fine-tune as the flags say."""
  values = flags.FLAGS
  given = values.config.to_dict()
  config = from_mapping(FinetuneConfig, given)
  given_flags = ("bundle", "workdir", "init", "reference_store")
  paths = {name: values[name].value for name in given_flags}
  start_up.start(flatten_fields({"config": given, **paths}))
  if config.steps:
    _say(f"steps={config.steps} replaces epochs={config.epochs}")
  run(
    config,
    values.bundle,
    values.workdir,
    values.init,
    policies.from_flags(),
    reference_store=values.reference_store,
  )


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
