# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import logging
import multiprocessing
from typing import Any

from bertjax.trials.store import Trial
from launch.sweep.trial_process import _Reporter


def test_a_process_runs_what_is_named_and_tells_of_it(capsys):
  pipe: Any = multiprocessing.Pipe()
  ours, theirs = pipe
  trials = [Trial(name, {"arm": name}) for name in ("a", "b", "c")]
  reporter = _Reporter(theirs, trials)
  for name in ("c", "a", None):
    ours.send(name)
  ran = []
  for trial in reporter.trials():
    with reporter.trial(trial.name):
      ran.append(trial)
    reporter.note(trial.name, "probe rte")
    reporter.done(trial.name, {"loss": 1.0})
  assert ran == [trials[2], trials[0]]
  reporter.failed("b", "no")
  logger = logging.Logger("of a trial")
  logger.addHandler(reporter)
  logger.warning("%s is odd", "x")
  logger.info("nothing")
  heard = []
  while ours.poll():
    heard.append(ours.recv())
  assert heard == [
    ("next",),
    ("note", "c", "probe rte"),
    ("done", "c", {"loss": 1.0}),
    ("next",),
    ("note", "a", "probe rte"),
    ("done", "a", {"loss": 1.0}),
    ("next",),
    ("failed", "b", "no"),
    ("warning", "x is odd"),
  ]
  assert capsys.readouterr().err == "warning: x is odd\n"
