# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tune a bundle for every task of GLUE, and compare with published scores.

    python -m launch.glue --bundle=DIR --data=DIR [--workdir=DIR] \
      [--tasks=cola,rte] [--config.seeds=3] [--write_test]

DIR of --data has the tasks' original folders (CoLA, SST-2, …), or some of them.
Each task is an arm of launch.finetune in a folder of WORKDIR, so a rerun
continues with the first trial that is not done, and a task that fails does not
stop the others. `WORKDIR/glue.md` compares our scores on dev with those that
the server gave others on test. With --write_test, `WORKDIR/submission/` gets
the predictions for the test splits, in the files that the server takes.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from absl import flags

from bertjax import files
from bertjax.checkpoints import bundle as bundles
from bertjax.config import FinetuneConfig, from_mapping
from bertjax.files import first_line
from bertjax.finetune.results import ArmResult
from configs.finetune import get_config
from data_pipelines.tasks.glue_files import find_folder
from data_pipelines.tasks.glue_tasks import GLUE, LEARNED
from launch import cli, finetune, host_memory
from launch.commands import output_paths, shipped_configs
from launch.glue import scores, submission
from launch.hosts import start_up
from launch.preflight import policy as policies
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import each_once

SUBMISSION = "submission"
JSON, PAGE = "glue.json", "glue.md"
_REPLACED = (JSON, PAGE, SUBMISSION)


def run(
  config: FinetuneConfig,
  bundle: str,
  data: str,
  workdir: str,
  tasks: Sequence[str] = (),
  *,
  write_test: bool = False,
  policy: Policy = DEFAULT,
) -> dict[str, ArmResult]:
  """Run the trials of all tasks that are not done; return their results.

  Args:
    config: how to train. With epochs=0 each task has those of its overlay.
    bundle: folder of a pre-trained bundle.
    data: folder of the tasks' folders.
    workdir: folder of the results.
    tasks: names of tasks; none for all that `data` has.
    write_test: whether the predictions for test splits are written.
    policy: limits of the checks.

  Raises:
    ValueError: an argument cannot be used, or a task failed; then the other
      ones are done.
  """
  output_paths.check_folder("workdir", workdir)
  titles = [task.title for task in GLUE.values()]
  output_paths.check_begun("workdir", workdir, _REPLACED, titles)
  read = {"bundle": bundle, "data": data}
  output_paths.check_outside("workdir", workdir, read)
  _check_tasks(tasks)
  bundles.read_pretrained(bundle)
  folders = _find(data, tasks)
  root = pathlib.Path(workdir)
  missing = {
    name: f"no files in {data}"
    for name in tasks or LEARNED
    if name not in folders
  }
  if missing:
    titles = ", ".join(GLUE[name].title for name in missing)
    print(f"no files in {data}: {titles}", flush=True)
  with each_once():
    results, failed = _learn(config, bundle, folders, root, policy)
    _report(root, results, missing | failed)
    if write_test:
      failed |= _write_tests(data, root, folders, results, policy)
  if failed:
    raise ValueError(
      f"{len(failed)} of {len(folders)} tasks failed, and the others are done: "
      f"{'; '.join(scores.by_reason(failed))}"
    )
  return results


def task_config(
  config: FinetuneConfig, name: str, folder: str
) -> FinetuneConfig:
  """Return the config of a task: `config`, and what its overlay sets."""
  overlay = from_mapping(
    FinetuneConfig, get_config(f"task=glue/{name}").to_dict()
  )
  task = dataclasses.replace(config.task, name=name, folder=folder)
  has_length = bool(config.steps or config.epochs)
  return dataclasses.replace(
    config,
    task=task,
    epochs=config.epochs if has_length else overlay.epochs,
    metric=config.metric or overlay.metric,
  )


def _check_tasks(tasks: Sequence[str]) -> None:
  for name in tasks:
    if name not in LEARNED:
      raise ValueError(f"--tasks={name}; give some of {','.join(LEARNED)}")


def _find(data: str, tasks: Sequence[str]) -> dict[str, pathlib.Path]:
  found = {name: find_folder(name, data) for name in tasks or LEARNED}
  folders = {name: folder for name, folder in found.items() if folder}
  if not folders:
    titles = ", ".join(GLUE[name].title for name in found)
    raise ValueError(
      f"{data} has no folder of {titles}; give the folder that has them"
    )
  return folders


def _learn(
  config: FinetuneConfig,
  bundle: str,
  folders: Mapping[str, pathlib.Path],
  root: pathlib.Path,
  policy: Policy,
) -> tuple[dict[str, ArmResult], dict[str, str]]:
  """Return the result of each task, and of the others what failed."""
  results: dict[str, ArmResult] = {}
  failed: dict[str, str] = {}
  for name, folder in folders.items():
    title = GLUE[name].title
    print(f"{title}: {folder}", flush=True)
    try:
      results[name] = finetune.run(
        task_config(config, name, str(folder)),
        bundle,
        str(root / title),
        policy=policy,
      )
    except Exception as error:  # one task does not stop the others
      failed[name] = first_line(error)
      print(f"{title} failed: {failed[name]}", flush=True)
  return results, failed


def _report(
  root: pathlib.Path,
  results: Mapping[str, ArmResult],
  missing: Mapping[str, str],
) -> None:
  text = scores.page(results, missing)
  saved = {name: result.to_json() for name, result in results.items()}
  files.write_json(root / JSON, {"version": 1, "tasks": saved})
  files.write_text(root / PAGE, text + "\n")
  print(text, flush=True)


def _write_tests(
  data: str,
  root: pathlib.Path,
  folders: Mapping[str, pathlib.Path],
  results: Mapping[str, ArmResult],
  policy: Policy,
) -> dict[str, str]:
  """Write the predictions of all models; return what failed, and why."""
  failed = {}
  sources = {name: (name, folders[name]) for name in results}
  diagnostic = find_folder("ax", data)
  if diagnostic and "mnli" in results:
    sources["ax"] = ("mnli", diagnostic)
  written: list[str] = []
  for name, (model, folder) in sources.items():
    try:
      written += submission.write_predictions(
        name,
        folder,
        root / GLUE[model].title / "model",
        root / SUBMISSION,
        policy,
      )
    except Exception as error:  # as above
      failed[name] = first_line(error)
      print(f"{GLUE[name].title} failed: {failed[name]}", flush=True)
  every = [file for task in GLUE.values() for file in task.tests.values()]
  lacking = [file for file in every if file not in written]
  print(f"predictions: {', '.join(written) or 'none'}", flush=True)
  if lacking:
    print(f"no predictions: {', '.join(lacking)}", flush=True)
  return failed


def define_flags() -> None:
  """Define the flags; not at import, because others call `run`."""
  shipped_configs.define_flag(
    "finetune:task=glue", default="finetune:task=glue"
  )
  flags.DEFINE_string(
    "bundle", None, "Folder of a pre-trained bundle.", required=True
  )
  flags.DEFINE_string(
    "data", None, "Folder of the original folders of GLUE.", required=True
  )
  flags.DEFINE_string(
    "workdir", "runs/glue", "Folder for the results and the models."
  )
  flags.DEFINE_list(
    "tasks", [], f"Some of {','.join(LEARNED)}; default: all that are found."
  )
  flags.DEFINE_bool(
    "write_test", False, "Write the predictions for the test splits."
  )
  start_up.define_flags()
  policies.define_flags()


def main(_: Sequence[str]) -> None:
  """Fine-tune as the flags say."""
  values = flags.FLAGS
  start_up.start({}, several=False)
  config = from_mapping(FinetuneConfig, values.config.to_dict())
  run(
    config,
    values.bundle,
    values.data,
    values.workdir,
    values.tasks,
    write_test=values.write_test,
    policy=policies.from_flags(),
  )


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
