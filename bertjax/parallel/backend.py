# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Say in one line what the environment asks of JAX and cannot get here.

XLA reads XLA_FLAGS when the first device is asked for, and libtpu reads
LIBTPU_INIT_ARGS when it is loaded. Each ends the process if it does not know a
flag, and libtpu says so behind lines on other things. A platform of
JAX_PLATFORMS that JAX cannot start ends with a traceback of JAX's.
"""

import difflib
import importlib.util
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Collection
from importlib import metadata
from typing import NoReturn

from bertjax.config.checks import cudnn

_FLAGS, _PLATFORMS = "XLA_FLAGS", "JAX_PLATFORMS"
_LIBTPU, _LIBTPU_PATH = "LIBTPU_INIT_ARGS", "TPU_LIBRARY_PATH"
_UNKNOWN = re.compile(r"Unknown flags? in XLA_FLAGS: (.+)")
_VALUE = re.compile(r"Couldn't interpret value (.*) for flag (\w+)")
_LIBTPU_UNKNOWN = re.compile(r"ERROR: Unknown command line flag '(\w+)'")
_LIBTPU_VALUE = re.compile(
  r"ERROR: Illegal value '(.*)' specified for flag '(\w+)'"
)
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
  """Refuse flags that XLA or libtpu would end this process for.

  Each reads its variable in a fork of this process, which takes XLA 10 to 14 ms
  of a processor where JAX is imported, and libtpu 50 ms. Nothing is forked for
  a variable that is not set, or where libtpu is not installed.

  Raises:
    ValueError: a flag is unknown, or its value is none.
  """
  if not hasattr(os, "fork"):
    return
  if flags := os.environ.get(_FLAGS, "").strip():
    _check_xla(flags)
  if os.environ.get(_LIBTPU, "").strip() and (path := _find_libtpu()):
    _check_libtpu(path)


def _check_xla(flags: str) -> None:
  said = _let_xla_read(flags)
  if found := _UNKNOWN.search(said):
    raise ValueError(_describe_unknown(found[1].split()))
  if found := _VALUE.search(said):
    raise ValueError(_describe_value(_FLAGS, *found.groups()))
  if found := _FILE.search(said):
    raise ValueError(
      f"{_FLAGS}={found[1]} is no file that can be read; give a file of flags, "
      "or flags as in --xla_dump_to=DIR"
    )


def _check_libtpu(path: str) -> None:
  said = _let_libtpu_read(path)
  if unknown := dict.fromkeys(_LIBTPU_UNKNOWN.findall(said)):
    names = " ".join(f"--{name}" for name in unknown)
    raise ValueError(
      f"{_LIBTPU} has {names}, which libtpu {_version('libtpu')} does not "
      f"know; {_leave_out(unknown)}"
    )
  if found := _LIBTPU_VALUE.search(said):
    raise ValueError(_describe_value(_LIBTPU, *found.groups()))


def _describe_value(variable: str, value: str, name: str) -> str:
  return (
    f"{variable} has --{name}={value}, which is no value of this flag; give "
    "another one, or leave the flag out"
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
      if _EXTRAS.get(name) == "cuda" and (lacking := cudnn.lacking()):
        reason = lacking
      elif name in _EXTRAS:
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
  fix = f"did you mean {', '.join(near)}?" if near else _leave_out(unknown)
  if any(flag.startswith("--xla_tpu") for flag in unknown):
    fix = "flags of TPUs go into LIBTPU_INIT_ARGS"
  return (
    f"{_FLAGS} has {' '.join(unknown)}, which jaxlib "
    f"{metadata.version('jaxlib')} does not know; {fix}"
  )


def _leave_out(flags: Collection[str]) -> str:
  return f"leave {'it' if len(flags) == 1 else 'them'} out"


def _find_libtpu() -> str:
  """Return the file that JAX loads for TPUs, or ""."""
  path = os.environ.get(_LIBTPU_PATH, "")
  if os.path.isfile(path):  # else JAX warns, and takes the package's
    return path
  spec = importlib.util.find_spec("libtpu")
  folders = (spec and spec.submodule_search_locations) or []
  paths = (os.path.join(folder, "libtpu.so") for folder in folders)
  return next(filter(os.path.exists, paths), "")


def _version(package: str) -> str:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:  # a file of TPU_LIBRARY_PATH
    return "here"


def _let_xla_read(flags: str) -> str:
  """Return what XLA says when a fork of this process reads its flags."""

  def read() -> None:
    from jaxlib import xla_client

    os.environ[_FLAGS] = flags
    options = xla_client.CompileOptions()
    _ = options.executable_build_options.debug_options

  return _in_a_fork(read)


def _let_libtpu_read(path: str) -> str:
  """Return what libtpu says when a fork loads it, and makes no client."""

  def read() -> None:
    from jaxlib import xla_client

    # Neither the machine's metadata nor the lock on its chips is needed.
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"
    os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"
    xla_client.load_pjrt_plugin_dynamically("tpu", path)
    xla_client.initialize_pjrt_plugin("tpu")

  return _in_a_fork(read)


def _in_a_fork(read: Callable[[], None]) -> str:
  """Return what a fork of this process writes to stderr while it reads."""
  source, sink = os.pipe()
  with warnings.catch_warnings():
    # Python warns of threads: this fork takes no lock that they may hold.
    warnings.simplefilter("ignore")
    child = os.fork()
  if not child:
    _read_and_leave(read, sink)
  os.close(sink)
  with os.fdopen(source, encoding="utf-8", errors="replace") as file:
    said = file.read()
  os.waitpid(child, 0)
  return said


def _read_and_leave(read: Callable[[], None], sink: int) -> NoReturn:
  try:
    signal.alarm(_SECONDS)  # which ends it, should it hang all the same
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(sink, 2)
    read()
  finally:
    os._exit(0)
