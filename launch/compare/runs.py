# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the workdir of a run says of it: settings, metrics, times, scores."""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from bertjax.checkpoints import bundle, digest, records
from bertjax.config import flatten_fields, renamed
from bertjax.finetune.results import RESULTS, ArmResult
from bertjax.finetune.task import Scores
from bertjax.train import writers
from bertjax.trials.finding import FoundWrong
from bertjax.trials.results import check_version
from bertjax.trials.store import IDENTITY, RESULT, TRIALS, trial_folder
from launch.run.findings import read_findings
from launch.run.origin import CHECKPOINTS, identity_in
from launch.run.restoring import CONFIG

Kind = Literal["pretrain", "finetune"]
Line = Mapping[str, Any]
# Bundles in the workdirs of both kinds of run.
_BUNDLES = {"pretrain": "bundle", "finetune": "model"}
# Of an identity that is no field of a config.
_FACTS = (
  *("encoder", "weights", "tokenizer", "labels", "examples", "settings"),
  "reference",
)
_DIGITS = 12


@dataclasses.dataclass(frozen=True)
class Run:
  """A run that is to be compared.

  Attributes:
    folder: its workdir.
    kind: "pretrain" or "finetune".
    fields: {dotted name: value} of its config.
    facts: {name: value} of what its results depend on besides: hashes of store,
      tokenizer, weights and examples. What is not known is missing.
    versions: versions of the packages that wrote its bundle; {} without one.
    train: lines of its training metrics.
    validation: lines of its validation metrics.
    timing: lines of its times.
    result: scores of a fine-tuning run.
    findings: what it warned of.
    curves: {seed: evaluations on dev} at the chosen rate of a fine-tuning run.
  """

  folder: pathlib.Path
  kind: Kind
  fields: Mapping[str, Any]
  facts: Mapping[str, Any]
  versions: Mapping[str, str]
  train: Sequence[Line] = ()
  validation: Sequence[Line] = ()
  timing: Sequence[Line] = ()
  result: ArmResult | None = None
  findings: Sequence[FoundWrong] = ()
  curves: Mapping[int, Sequence[Scores]] = dataclasses.field(
    default_factory=dict
  )

  @property
  def step(self) -> int:
    """The last step of which there are metrics."""
    return max((line["step"] for line in self.train), default=0)

  @property
  def tokens(self) -> int | None:
    """The tokens that a pre-training run has seen."""
    return self.train[-1].get("tokens") if self.train else None


def read_run(folder: str | pathlib.Path) -> Run:
  """Read the workdir of a pre-training or a fine-tuning run.

  A run may still be training: a line that is half written is left out.

  Raises:
    ValueError: the folder is no run, or a file of it cannot be read.
  """
  place = pathlib.Path(folder)
  if not place.is_dir():
    raise ValueError(f"{place} is no folder; give the --workdir of a run")
  if (place / IDENTITY).is_file():
    return _read_finetune(place)
  if (place / writers.METRICS).is_file():
    return _read_pretrain(place)
  raise ValueError(
    f"{place} is no run: it has neither the {writers.METRICS} of pre-training "
    f"nor the {IDENTITY} of fine-tuning; give the --workdir of a run"
    + (f", for example {place.parent}" if _is_bundle(place) else "")
  )


def _read_pretrain(folder: pathlib.Path) -> Run:
  record = records.read_newest_record(folder / CHECKPOINTS)
  path = folder / CONFIG
  config = (record or {}).get("config")
  if path.is_file():
    config = renamed.current(_read_json(path)["config"])
  if config is None:
    raise ValueError(
      f"{folder} has neither {CONFIG} nor a checkpoint that is whole, so that "
      "the settings of its run are not known; give another"
    )
  lines = _read_lines(folder / writers.METRICS)
  details, found = _details(folder, "pretrain"), read_findings(folder)
  identity = {} if record is None else identity_in(record)
  fields = flatten_fields(config)
  known = {
    name: value for name, value in identity.items() if name not in fields
  }
  if details is not None:
    known.setdefault("store", details.store_sha256)
    known.setdefault("tokenizer", details.tokenizer_sha256)
  # The path is a field of the config; the digest of what it names is a fact.
  if identity.get("init_from"):
    known["start weights"] = identity["init_from"]
  return Run(
    folder,
    "pretrain",
    fields,
    _shortened(known),
    (details and details.versions) or {},
    train=[line for line in lines if line["split"] == "train"],
    validation=[line for line in lines if line["split"] == "validation"],
    timing=_read_lines(folder / writers.TIMING),
    findings=found.findings if found else (),
  )


def _read_finetune(folder: pathlib.Path) -> Run:
  identity = renamed.current(_read_json(folder / IDENTITY))
  if isinstance(identity.get("finetune"), dict):
    place = trial_folder(folder, "NAME")
    if identity.get("trains") != "finetune":
      place /= "pretrain"
    raise ValueError(
      f"{folder} is a sweep, whose results.md compares its trials; give "
      f"folders of its trials, such as {place}"
    )
  if not (folder / RESULTS).is_file():
    raise ValueError(
      f"{folder} is a fine-tuning run that has no {RESULTS} yet; run its "
      "command again until it is done"
    )
  saved = _read_json(folder / RESULTS)
  check_version(folder / RESULTS, saved)
  result = ArmResult.from_json(saved)
  details = _details(folder, "finetune")
  settings = {n: v for n, v in identity.items() if n not in _FACTS}
  facts = {n: v for n, v in identity.items() if n in _FACTS}
  if facts.get("weights"):
    facts["weights"] = digest.sha256_of_json(facts["weights"])
  return Run(
    folder,
    "finetune",
    flatten_fields(settings),
    _shortened(flatten_fields(facts)),
    (details and details.versions) or {},
    result=result,
    findings=result.findings,
    curves=_read_curves(folder, result),
  )


def _read_curves(
  folder: pathlib.Path, result: ArmResult
) -> dict[int, Sequence[Scores]]:
  """Return the evaluations of each seed with the chosen rate."""
  curves = {}
  for path in sorted((folder / TRIALS).glob(f"*/{RESULT}")):
    saved = _read_json(path)
    settings = saved["settings"]
    if (
      settings["learning_rate"] == result.scores.learning_rate
      and settings["seed"] in result.scores.seeds
    ):
      curves[settings["seed"]] = saved["result"].get("curve", ())
  return dict(sorted(curves.items()))


def _details(folder: pathlib.Path, kind: Kind) -> bundle.Details | None:
  """Return what the bundle of a run says; None if there is none to read."""
  with contextlib.suppress(ValueError, OSError):
    return bundle.read_bundle_info(folder / _BUNDLES[kind]).details
  return None


def _is_bundle(folder: pathlib.Path) -> bool:
  return (folder / bundle.RECORD).is_file()


def _shortened(facts: Mapping[str, Any]) -> dict[str, Any]:
  """Return facts with hashes that one can read."""
  return {
    name: value[:_DIGITS] if _is_hash(value) else value
    for name, value in facts.items()
    if value not in (None, "")
  }


def _is_hash(value: Any) -> bool:
  return isinstance(value, str) and len(value) == 64  # a sha256 in hex


def _read_json(path: pathlib.Path) -> dict[str, Any]:
  try:
    return json.loads(path.read_text("utf-8"))
  except (ValueError, OSError) as error:
    raise ValueError(
      f"{path} cannot be read ({error}); give another run"
    ) from None


def _read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
  try:
    return writers.read_lines(path)
  except ValueError as error:
    raise ValueError(
      f"{path} has a line that is no JSON ({error}); give another run"
    ) from None
