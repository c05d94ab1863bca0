# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Say in one line what the environment asks of JAX and cannot get here.

XLA reads XLA_FLAGS when the first device is asked for, and aborts the process
if it does not know one of them. A platform of JAX_PLATFORMS that JAX cannot
start ends with a traceback of JAX's.
"""

import difflib
import os
import re
import signal
import sys
import warnings
from importlib import metadata
from typing import NoReturn

_FLAGS, _PLATFORMS = "XLA_FLAGS", "JAX_PLATFORMS"
_UNKNOWN = re.compile(r"Unknown flags? in XLA_FLAGS: (.+)")
_VALUE = re.compile(r"Couldn't interpret value (.*) for flag (\w+)")
_FILE = re.compile(r'Could not open file "(.+)" to read flags')
# With a value that is none, XLA lists its flags.
_NO_VALUE = "--xla_cpu_enable_fast_math=?"
_LISTED = re.compile(r"^\t(--\w+)=", re.MULTILINE)
_ALIKE = 0.8  # of difflib: a letter or two differ
_SECONDS = 5
# What JAX says around the reason of a plugin, and where there is none.
_AROUND = re.compile(
  rf"^Unable to initialize backend '\w+': | \(set {_PLATFORMS}=.*\)$"
)
_NO_PLUGIN = "is not in the list of known backends"
# What has the plugin of a platform.
_EXTRAS = {"tpu": "tpu", "cuda": "cuda", "gpu": "cuda"}


def check_flags() -> None:
  """Refuse XLA_FLAGS that XLA would abort for.

  A fork of this process lets XLA read them, which takes 10 to 14 ms of a
  processor where JAX is imported. Without the variable nothing is done.

  Raises:
    ValueError: a flag is unknown, or its value is none.
  """
  flags = os.environ.get(_FLAGS, "").strip()
  if not flags or not hasattr(os, "fork"):
    return
  said = _let_xla_read(flags)
  if found := _UNKNOWN.search(said):
    raise ValueError(_describe_unknown(found[1].split()))
  if found := _VALUE.search(said):
    value, name = found.groups()
    raise ValueError(
      f"{_FLAGS} has --{name}={value}, which is no value of this flag; give "
      "another one, or leave the flag out"
    )
  if found := _FILE.search(said):
    raise ValueError(
      f"{_FLAGS}={found[1]} is no file that can be read; give a file of flags, "
      "or flags as in --xla_dump_to=DIR"
    )


def explain(error: BaseException) -> str:
  """Return a line on an error of JAX's that started no device, or "".

  Args:
    error: what a command raised.
  """
  asked = os.environ.get(_PLATFORMS, "")
  # JAX asserts that there is a device where no platform had a plugin.
  if not isinstance(error, (RuntimeError, AssertionError)) or not asked:
    return ""
  if "jax" not in sys.modules or _has_devices():
    return ""
  reason = _AROUND.sub("", str(error))
  if isinstance(error, AssertionError) or _NO_PLUGIN in reason:
    reason = "JAX has no plugin for it"
    for name in asked.split(","):
      if name in _EXTRAS:
        reason += f", which pip install 'bertjax[{_EXTRAS[name]}]' installs"
  return (
    f"{_PLATFORMS}={asked} cannot be started here: {reason}; {_PLATFORMS}=cpu "
    "runs on the processor, and without the variable JAX takes what there is"
  )


def _has_devices() -> bool:
  import jax

  try:
    return bool(jax.devices())
  except Exception:  # JAX raises several kinds where it has no device
    return False


def _describe_unknown(unknown: list[str]) -> str:
  known = _LISTED.findall(_let_xla_read(_NO_VALUE))
  near = [
    found
    for flag in unknown
    for found in difflib.get_close_matches(flag.split("=")[0], known, 1, _ALIKE)
  ]
  fix = f"did you mean {', '.join(near)}?" if near else "leave it out"
  if any(flag.startswith("--xla_tpu") for flag in unknown):
    fix = "flags of TPUs go into LIBTPU_INIT_ARGS"
  return (
    f"{_FLAGS} has {' '.join(unknown)}, which jaxlib "
    f"{metadata.version('jaxlib')} does not know; {fix}"
  )


def _let_xla_read(flags: str) -> str:
  """Return what XLA says when a fork of this process reads its flags."""
  source, sink = os.pipe()
  with warnings.catch_warnings():
    # Python warns of threads: this fork takes no lock that they may hold.
    warnings.simplefilter("ignore")
    child = os.fork()
  if not child:
    _read_and_leave(flags, sink)
  os.close(sink)
  with os.fdopen(source, encoding="utf-8", errors="replace") as file:
    said = file.read()
  os.waitpid(child, 0)
  return said


def _read_and_leave(flags: str, sink: int) -> NoReturn:
  try:
    signal.alarm(_SECONDS)  # which ends it, should it hang all the same
    import resource

    from jaxlib import xla_client

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(sink, 2)
    os.environ[_FLAGS] = flags
    options = xla_client.CompileOptions()
    _ = options.executable_build_options.debug_options
  finally:
    os._exit(0)
