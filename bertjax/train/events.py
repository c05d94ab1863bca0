# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Where metrics go beside the files of a run: TensorBoard, Weights & Biases."""

import importlib.util
import json
import os
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from bertjax import files
from bertjax.config import WandbConfig

TENSORBOARD = "tensorboard"
# Beside the checkpoints, whose records hold the id as well: a run that is
# killed before its first checkpoint goes on as the same one.
WANDB = "wandb.json"
_STEP = "step"


class Events(Protocol):
  """Takes the values of steps; equal ones may come again after a kill."""

  def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
    """Write the values of one step."""
    ...

  def close(self) -> None:
    """Write what is pending; called once."""
    ...


class Tensorboard:
  """Writes event files.

  Args:
    folder: the workdir.
    start: the step that this process starts from; TensorBoard drops what was
      written of later ones.
  """

  def __init__(self, folder: str | os.PathLike[str], start: int) -> None:
    self._path = pathlib.Path(folder) / TENSORBOARD
    self._start = start
    self._writer: Any = None

  def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
    """Write the values of one step."""
    if self._writer is None:
      # Imported late: it takes a second, and longer if torch is installed.
      from tensorboardX import SummaryWriter

      self._writer = SummaryWriter(str(self._path), purge_step=self._start + 1)
    for name, value in values.items():
      self._writer.add_scalar(f"{split}/{name}", value, step)

  def close(self) -> None:
    """Close the files."""
    if self._writer is not None:
      self._writer.close()


def check_installed(config: WandbConfig) -> None:
  """Check that the package is there where a config asks for it.

  Raises:
    ValueError: it is not.
  """
  if config.project and importlib.util.find_spec("wandb") is None:
    raise ValueError(
      f"wandb.project={config.project} needs the package wandb, which is not "
      "installed; pip install wandb, or leave --config.wandb.project out"
    )


class Wandb:
  """Writes to a run of Weights & Biases, the same one after every restart.

  Values are drawn over a step of their own, not over wandb's, which must grow:
  a run that was killed writes the steps after its last checkpoint again.

  Args:
    config: project and mode.
    folder: the workdir.
    settings: the config of the run, which wandb shows.

  Raises:
    ValueError: the package is not installed.
  """

  def __init__(
    self,
    config: WandbConfig,
    folder: str | os.PathLike[str],
    settings: Mapping[str, Any],
  ) -> None:
    check_installed(config)
    self._config = config
    self._folder = pathlib.Path(folder)
    self._settings = dict(settings)
    self._id = ""
    self._run: Any = None

  @property
  def id(self) -> str:
    """The id of the run; "" before `connect`."""
    return self._id

  def restore(self, id: str) -> None:
    """Go on with the run of a checkpoint."""
    self._id = id

  def connect(self) -> str:
    """Start the run, or go on with it; return where it can be seen.

    Raises:
      ValueError: wandb refuses, for instance because nobody is logged in.
    """
    import wandb

    offline = self._config.mode == "offline"
    self._id = self._id or self._read_id() or uuid.uuid4().hex[:8]
    try:
      self._run = wandb.init(
        project=self._config.project,
        entity=self._config.entity or None,
        name=self._config.name or "/".join(self._folder.absolute().parts[-2:]),
        id=self._id,
        # Without a server there is no run to resume: `wandb sync` joins the
        # parts, which have one id.
        resume=None if offline else "allow",
        mode=self._config.mode,
        dir=str(self._folder),
        config=self._settings,
        settings=wandb.Settings(console="off", silent=True),
      )
    except wandb.Error as error:
      raise ValueError(
        f"wandb.project={self._config.project}: "
        f"{files.first_line(error).rstrip('.')}; `wandb login` logs in, and "
        "--config.wandb.mode=offline needs no account"
      ) from None
    files.write_json(self._folder / WANDB, {"id": self._id})
    self._run.define_metric(_STEP)
    self._run.define_metric("*", step_metric=_STEP)
    if offline:
      place = self._folder / "wandb"
      return (
        f"offline in {place}; `wandb sync {place}/offline-run-*` uploads it"
      )
    return str(self._run.url)

  def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
    """Write the values of one step."""
    named = {f"{split}/{name}": value for name, value in values.items()}
    self._run.log({_STEP: step, **named})

  def close(self, exit_code: int = 0) -> None:
    """Upload what is pending; a code other than 0 shows the run as failed."""
    if self._run is not None:
      self._run.finish(exit_code=exit_code)

  def _read_id(self) -> str:
    path = self._folder / WANDB
    return json.loads(path.read_bytes())["id"] if path.is_file() else ""
