# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stands in for the package wandb: records what is asked of it."""

import importlib.machinery
import sys
import types


class FakeWandb(types.ModuleType):
  """The names of wandb that bertjax uses."""

  class Error(Exception):
    """What wandb raises."""

  def __init__(self):
    super().__init__("wandb")
    self.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
    self.started, self.logged, self.finished = [], [], 0
    self.exit_codes = []
    self.refusal = None

  def Settings(self, **values):
    return values

  def init(self, **values):
    if self.refusal:
      raise self.Error(self.refusal)
    self.started.append(values)
    run = types.SimpleNamespace()
    run.define_metric = lambda *_, **__: None
    run.log = self.logged.append
    run.finish = self._finish
    run.url = f"https://wandb.ai/{values['id']}"
    return run

  def _finish(self, exit_code=0):
    self.finished += 1
    self.exit_codes.append(exit_code)


def install(patch):
  """Have `import wandb` find a new fake one; return it."""
  fake = FakeWandb()
  patch.setitem(sys.modules, "wandb", fake)
  return fake
