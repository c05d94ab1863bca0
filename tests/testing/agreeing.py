# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One of several processes that agree on some things and not on others.

python -m tests.testing.agreeing --output=FOLDER [--role=ROLE] and the flags of
`launch.hosts.start_up`. Writes the outcomes to `FOLDER/NUMBER.json`.
"""

import json
import os
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from bertjax.parallel import multihost, shared_folder
from launch import cli
from launch.hosts import start_up


def outcome(act):
  """Return the value of a call, or its error as text."""
  try:
    return act()
  except (ValueError, OSError) as error:
    return f"{type(error).__name__}: {error}"


def fail_on(number, error):
  if multihost.process_index() == number:
    raise error
  return "fine"


def total():
  """Return the sum of a 1 from each device."""
  count = jax.device_count()
  mesh = jax.make_mesh((count,), ("x",), axis_types=(AxisType.Auto,))
  ones = jax.make_array_from_callback(
    (count,),
    NamedSharding(mesh, PartitionSpec("x")),
    lambda _: np.ones(1, np.float32),
  )
  add = jax.jit(jnp.sum, out_shardings=NamedSharding(mesh, PartitionSpec()))
  return float(add(ones))


def agree(folder):
  me = multihost.process_index()
  own = folder / str(me)
  own.mkdir()
  shared = folder / "shared"
  shared.mkdir(exist_ok=True)
  return {
    "devices": [jax.device_count(), jax.local_device_count()],
    "total": total(),
    "alike": outcome(
      lambda: multihost.run_on_all("x", lambda: me, error=KeyError)
    ),
    "fault": outcome(
      lambda: multihost.run_on_all(
        "x", lambda: fail_on(1, ValueError("no store"))
      )
    ),
    "disk": outcome(
      lambda: multihost.run_on_all("x", lambda: fail_on(1, OSError("no disk")))
    ),
    "disk and data": outcome(
      lambda: multihost.run_on_all(
        "x", lambda: fail_on(1, OSError("no disk")), error=KeyError
      )
    ),
    "late": outcome(
      lambda: multihost.run_on_all(
        "x", lambda: fail_on(1, TimeoutError("late"))
      )
    ),
    "all fault": outcome(
      lambda: multihost.run_on_all("x", lambda: fail_on(me, ValueError("bad")))
    ),
    "facts": outcome(
      lambda: multihost.run_on_all(
        "x", lambda: me, facts=lambda me: {"it": me // 2}
      )
    ),
    "decide": outcome(
      lambda: multihost.broadcast_from_first("x", lambda: [me, "said"])
    ),
    "decided fault": outcome(
      lambda: multihost.broadcast_from_first(
        "x", lambda: fail_on(0, OSError("full"))
      )
    ),
    "gather": outcome(lambda: multihost.all_gather("x", {"n": me})),
    "shared": outcome(lambda: shared_folder.check_shared(shared)),
    "own": outcome(lambda: shared_folder.check_shared(own)),
    "left": sorted(path.name for path in shared.iterdir()),
    "absent": outcome(
      lambda: me == 1 or multihost.all_gather("y", 0, seconds=0.5)
    ),
  }


def main(_):
  values = flags.FLAGS
  folder = pathlib.Path(values.output)
  if values.role == "fail":
    (folder / f"{values.process_id}.started").write_text("")
    if values.process_id == 1:
      sys.exit(7)
    time.sleep(600)
  if values.role == "gone":
    start_up.INITIALIZATION_SECONDS = 1
    if values.process_id == 1:
      start_up.jax.distributed.initialize = lambda *_, **__: os._exit(9)
  start_up.start({"output": values.output})
  if values.role.startswith("alone"):
    if values.role[-1] in f"*{multihost.process_index()}":
      raise {"V": ValueError, "R": RuntimeError}[values.role[5]]("it broke")
    multihost.all_gather("nobody", 0)
  result = agree(folder)
  (folder / f"{multihost.process_index()}.json").write_text(json.dumps(result))
  print(f"done {multihost.process_index()}")


if __name__ == "__main__":
  flags.DEFINE_string("output", None, "Folder for the outcomes.")
  flags.DEFINE_string(
    "role",
    "",
    "fail: process 1 fails, and 0 hangs; gone: 1 dies when all have come; "
    "aloneV0: 0 raises a ValueError; aloneR1: 1 raises a RuntimeError; "
    "aloneV*: all raise a ValueError.",
  )
  start_up.define_flags()
  cli.run(main)
