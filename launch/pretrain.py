# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Pre-train on a prepared store; run the same command again to resume.

  python -m launch.pretrain --config=pretrain:size=tiny \
    --config.data.store=DIR --workdir=DIR

The workdir gets `config.json` (the resolved config), `checkpoints/`,
`metrics.jsonl`, `timing.jsonl`, `findings.json` (what the run warned of),
`tensorboard/`, `tokenizer/`, and at the end `bundle/`.
--config.checkpoint.bundles_at=0.25,0.5 writes bundles on the way, too, as
`bundles/step_N`. --config.wandb.project=NAME writes the metrics to
Weights & Biases as well, with --config.wandb.mode=offline into the workdir.
A restart on the same machine compiles nothing again: programs are kept in
~/.cache/bertjax, or where JAX_COMPILATION_CACHE_DIR says.

On several hosts, run the same command on each, with a workdir that all of them
share. On Cloud TPU, GKE, Slurm and under Open MPI the processes find each
other; elsewhere add --coordinator_address=HOST:PORT --num_processes=N
--process_id=I. `launch.rehearse` runs several processes on one machine.
"""

import dataclasses
import pathlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
from absl import flags

from bertjax.checkpoints.bundle import Details, check_target
from bertjax.config import PretrainConfig, flatten_fields, from_mapping
from bertjax.model.parameters import count_parameters
from bertjax.parallel import multihost
from bertjax.train import loop, writers
from bertjax.train.state import TrainState
from bertjax.trials.finding import FoundWrong
from launch import cli, host_memory
from launch.commands import output_paths, shipped_configs
from launch.hosts import preemption, start_up
from launch.preflight import policy as policies
from launch.preflight import results
from launch.preflight.findings import Finding, found_wrong, of_results, to_json
from launch.preflight.memory import check_memory
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.run import check_run, record_run
from launch.preflight.settle import settle
from launch.run import dtypes, ownership
from launch.run.assembly import RunSpec, assemble
from launch.run.findings import FINDINGS
from launch.run.origin import CHECKPOINTS, Past, read_past
from launch.run.restoring import CONFIG, TOKENIZER
from launch.run.resumable import COMMAND, Run, open_run
from launch.run.stores import check_outside_inputs

BUNDLE = "bundle"
_REPLACED = (CONFIG, TOKENIZER, FINDINGS, writers.METRICS, writers.TIMING)


@dataclasses.dataclass(frozen=True)
class PretrainResult:
  """A run at its last step.

  Attributes:
    step: the number of steps.
    tokens: the number of tokens that the run has read.
    parameters: the number of parameters.
    validation: the last values on the validation rows, by metric.
    train: the last line of the training metrics; {} if they are lost.
    tokens_per_second: the speed at the end of this call.
    seconds: the time that this call took.
    bundle: folder of the bundle.
    workdir: folder of the run.
    findings: what an expert would stop for.
  """

  step: int
  tokens: int | None
  parameters: int
  validation: Mapping[str, Any]
  train: Mapping[str, Any]
  tokens_per_second: float
  seconds: float
  bundle: str
  workdir: str
  findings: tuple[FoundWrong, ...] = ()


def run(
  config: PretrainConfig,
  workdir: str,
  bundle: str | None = None,
  policy: Policy = DEFAULT,
) -> PretrainResult:
  """Train up to `config.steps`, evaluate, and write the bundle.

  Args:
    config: config as the user gave it; `launch.run.resolve` completes it.
    workdir: folder of the run; a run that was begun there is resumed.
    bundle: folder of the bundle; None is `bundle` in the workdir.
    policy: which findings of `launch.preflight` end the run.

  Raises:
    ValueError: the user's mistake, a finding that fails (if it is of the
      results, the bundle is written), or a loss of nan.
    SystemExit: a signal stopped the run; its state is saved.
  """
  began = time.monotonic()
  _check_outputs(config, workdir, bundle)
  target = pathlib.Path(bundle or pathlib.Path(workdir) / BUNDLE)
  multihost.broadcast_from_first("bundle", lambda: check_target(target))
  folder = pathlib.Path(workdir)
  spec = _assemble(config, folder)
  dtypes.warn_of(spec.config.compute.dtype, jax.local_devices()[0])
  findings = check_run(spec, folder, policy)
  with (
    open_run(spec, folder) as active,
    cli.Signals(preemption.make_preemption_sync()) as signals,
  ):
    findings += check_memory(spec, active.untrained(), policy, active.beat)
    record_run(folder, findings, policy)
    active.add_findings(_of_results(findings, policy))
    active.connect()
    state = _train(active, spec, signals)
    step = int(jax.device_get(state.step))
    if signals.requested():
      active.close(exit_code=1)
      signals.leave(_stopped(step, spec.config.steps, folder))
    train = multihost.broadcast_from_first(
      "metrics", lambda: writers.read(folder / writers.METRICS, "train")
    )
    wrong = _judge(active, spec, active.details(step), train, policy)
    active.add_findings(found_wrong(wrong, policy), step)
    details = active.details(step)
    active.write_bundle(target, state.params, details)
    multihost.broadcast_from_first("results", lambda: settle(wrong, policy))
    return PretrainResult(
      step=step,
      tokens=details.tokens,
      parameters=count_parameters(state.params),
      validation=details.evaluation,
      train=[{}, *train][-1],
      tokens_per_second=active.progress.tokens_per_second,
      seconds=time.monotonic() - began,
      bundle=str(target),
      workdir=str(folder),
      findings=active.findings,
    )


def _check_outputs(
  config: PretrainConfig, workdir: str, bundle: str | None
) -> None:
  """Refuse folders that cannot be made, or in what the run reads."""
  output_paths.check_folder("workdir", workdir)
  output_paths.check_folder("bundle", bundle)
  output_paths.check_begun(
    "workdir", workdir, _REPLACED, (CHECKPOINTS, ownership.OWNER)
  )
  target = bundle or pathlib.Path(workdir) / BUNDLE
  ownership.check_free("bundle", target, COMMAND, workdir)
  check_outside_inputs("workdir", workdir, config)
  check_outside_inputs("bundle", bundle, config)


def _assemble(config: PretrainConfig, folder: pathlib.Path) -> RunSpec:
  """Return what the run is made of, the same on all processes."""
  fields: list[Any] = multihost.broadcast_from_first(
    "past", lambda: list(read_past(config, folder))
  )
  past = Past(*fields)
  return multihost.run_on_all(
    "run", lambda: assemble(config, past), facts=lambda spec: spec.identity
  )


def _train(active: Run, spec: RunSpec, signals: cli.Signals) -> TrainState:
  """Train through the phases that are left; end early when asked to stop."""
  state = active.state
  for phase in active.phases():
    state = loop.train(
      state,
      train_step=phase.program.train_step,
      batches=active.batches,
      steps=phase.stop,
      mesh=spec.program.mesh,
      hooks=active.hooks,
      stop=signals.requested,
    )
    if signals.requested():
      break
  return state


def _of_results(
  findings: Iterable[Finding], policy: Policy
) -> tuple[FoundWrong, ...]:
  """Return what results keep of the findings of process 0, on all."""
  found = multihost.broadcast_from_first(
    "kept findings", lambda: to_json(of_results(findings), policy)
  )
  return tuple(map(FoundWrong.from_json, found))


def _judge(
  active: Run,
  spec: RunSpec,
  details: Details,
  train: Sequence[Mapping[str, Any]],
  policy: Policy,
) -> list[Finding]:
  """Print what others reached; return what is found of the results."""
  values = details.evaluation
  kind = spec.store.manifest.tokenizer.name
  for line in results.describe_results(
    spec.config, values, details.tokens, kind
  ):
    active.progress.say(line)
  return results.judge_results(spec.config, values, train, kind, policy)


def _stopped(step: int, steps: int, folder: pathlib.Path) -> str:
  return (
    f"stopped at step {step} of {steps}, which is saved in {folder}; run the "
    "same command again to resume"
  )


def define_flags() -> None:
  """Define the flags; not at import, because others call `run`."""
  shipped_configs.define_flag("pretrain:size=tiny")
  flags.DEFINE_string("workdir", None, "Folder of the run.")
  flags.DEFINE_string(
    "bundle", None, "Folder of the bundle; without it, `bundle` in the workdir."
  )
  flags.mark_flags_as_required(["config", "workdir"])
  policies.define_flags()
  start_up.define_flags()


def main(_: Sequence[str]) -> None:
  """Run as the flags say."""
  values = flags.FLAGS
  given = values.config.to_dict()
  config = from_mapping(PretrainConfig, given)
  policy = policies.from_flags()
  start_up.start(
    flatten_fields(
      {"config": given, "workdir": values.workdir, "bundle": values.bundle}
    )
  )
  result = run(config, values.workdir, values.bundle, policy)
  if multihost.is_first():
    print(
      f"done: {result.step} steps in {result.seconds:.0f} s, bundle in "
      f"{result.bundle}"
    )


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
