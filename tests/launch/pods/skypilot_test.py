# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import re
import shlex

import pytest
import yaml

from bertjax.plan.hardware import slices
from launch.pods import skypilot, topologies
from tests.testing.pod_documents import complaints, make_workload


@pytest.mark.parametrize("kind", skypilot.KINDS)
def test_every_slice_that_gcloud_names_gives_a_valid_task(kind):
  for shape in slices.shapes(kind)[:30]:
    piece = topologies.find(f"{kind}:{'x'.join(map(str, shape))}")
    if piece.accelerator_type is None:
      continue
    task = skypilot.make_task(make_workload(str(piece)))
    assert complaints("skypilot", task) == []
    name = f"tpu-{piece.accelerator_type}"
    assert task["resources"]["accelerators"] == {name: 1}


@pytest.mark.parametrize("place", [(), ("resources",)])
def test_the_schema_refuses_a_field_that_does_not_exist(place):
  task = skypilot.make_task(make_workload())
  inner = task[place[0]] if place else task
  inner["accelerator"] = "x"
  (complaint,) = complaints("skypilot", task)
  assert "'accelerator' was unexpected" in complaint


def test_the_text_says_what_the_task_is():
  workload = make_workload(spot=True, environment=("A=1",))
  task = skypilot.make_task(workload)
  assert yaml.safe_load(skypilot.write(workload)) == task
  assert task["resources"]["use_spot"] is True
  assert task["envs"]["A"] == "1"
  assert tuple(shlex.split(task["run"])[1:]) == workload.command[1:]


@pytest.mark.parametrize(
  ("topology", "slices", "message"),
  [
    ("tpu7x:4x4x4", 1, "--topology=tpu7x:4x4x4"),
    ("v5e:16x16", 2, "--slices=2"),
    ("v5p:4x4x16", 1, "is v5p:4x8x8"),
  ],
)
def test_what_skypilot_cannot_start_is_refused(topology, slices, message):
  with pytest.raises(ValueError, match=re.escape(message)):
    skypilot.make_task(make_workload(topology, slices=slices))
