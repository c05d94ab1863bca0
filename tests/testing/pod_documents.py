# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Workloads to write, and the published schemas to hold the result against."""

import functools
import json
import pathlib

import jsonschema

from launch.pods import jobset, skypilot, topologies, tpu_vm
from launch.pods.workload import Workload, make_command

SCHEMAS = pathlib.Path(__file__).parents[1] / "schemas"
IMAGE = "us-docker.pkg.dev/project/bertjax/bertjax:1"
ARGUMENTS = (
  "--config.data.store=gs://bucket/store",
  "--config.optimizer.learning_rate=1e-4",
)


def make_workload(topology="v5e:16x16", arguments=ARGUMENTS, **settings):
  command = make_command(
    "configs/pretrain.py:size=base", "gs://bucket/run", arguments
  )
  return Workload(
    **{
      "name": "bert",
      "slice": topologies.find(topology),
      "slices": 1,
      "command": command,
      "bucket": "bucket",
    }
    | settings
  )


def write_all(workload):
  """Every kind of file, of one workload."""
  return {
    "jobset": jobset.write(workload, image=IMAGE, queue="tpu"),
    "tpu_vm": tpu_vm.write(workload, zone="us-west4-a"),
    "skypilot": skypilot.write(workload),
  }


@functools.cache
def validator(name):
  schema = json.loads((SCHEMAS / f"{name}.json").read_text())
  return jsonschema.Draft7Validator(schema)


def complaints(name, document):
  """What the published schema `name` has against `document`."""
  return [error.message for error in validator(name).iter_errors(document)]


def container(manifest):
  """The only container of the only kind of pod of a JobSet."""
  (job,) = manifest["spec"]["replicatedJobs"]
  (only,) = job["template"]["spec"]["template"]["spec"]["containers"]
  return only


def job_spec(manifest):
  (job,) = manifest["spec"]["replicatedJobs"]
  return job["template"]["spec"]
