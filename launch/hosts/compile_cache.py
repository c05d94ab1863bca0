# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Keep compiled programs between runs, in the user's cache folder.

JAX's persistent cache is off unless it gets a folder. Here it gets
`~/.cache/bertjax/xla/KEY` ($XDG_CACHE_HOME instead of `~/.cache` where it is
set). The key names the versions of the compilers and the processor: what XLA
compiles for a CPU has the instructions of that CPU, and is cut into as many
parts as it has cores, neither of which is in JAX's own key. JAX's variables
count: JAX_COMPILATION_CACHE_DIR=DIR keeps programs elsewhere, and
JAX_ENABLE_COMPILATION_CACHE=false keeps none.
"""

import contextlib
import hashlib
import logging
import os
import pathlib
import platform
import stat
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Literal

import jax
import zstandard

_LOG = logging.getLogger(__name__)
# Bytes of all programs of all keys; the oldest go at the start of a command.
LARGEST = 2 << 30
# JAX keeps what took a second or more to compile. A start has dozens of smaller
# programs, which take seconds together.
_LEAST_SECONDS = 0.1
_LEAST = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_PACKAGES = ("jax", "jaxlib", "libtpu")
CPUINFO = pathlib.Path("/proc/cpuinfo")
# Fields of /proc/cpuinfo that say what a processor executes: x86, then ARM.
_FIELDS = (
  *("vendor_id", "cpu family", "model", "model name", "flags"),
  *("CPU implementer", "CPU architecture", "CPU variant", "CPU part"),
  "Features",
)
_LISTS = ("flags", "Features")
# Variables by which XLA takes another number of threads than there are cores.
_THREADS = ("PJRT_NPROC", "NPROC")
_CHECKED = ".checked"
# An entry that is younger may still be written by another process.
_WRITING_SECONDS = 10.0
_OTHERS = (
  "JAX_COMPILATION_CACHE_DIR=DIR keeps them elsewhere, "
  "JAX_ENABLE_COMPILATION_CACHE=false nowhere"
)


def keep(*, tells: Literal["always", "new", "never"] = "always") -> None:
  """Keep what this process compiles, and load what another one compiled.

  Call it before the first compile. A folder that cannot be written is a
  warning, and programs are compiled without being kept.

  Args:
    tells: whether standard error says where programs are kept: "new" says it of
      a folder that was not there. Nothing is said of a folder that the user
      named.
  """
  if not setting("jax_enable_compilation_cache"):
    return
  given = setting("jax_compilation_cache_dir")
  if given is not None:
    _check_given(given)
    return
  try:
    folder = default_folder()
    is_new = not folder.is_dir()
    make_writable(folder)
  except (OSError, RuntimeError) as error:
    _LOG.warning(
      "compiled programs are not kept: %s; set JAX_COMPILATION_CACHE_DIR to a "
      "folder that can be written",
      error,
    )
    return
  remove_cut(folder)
  prune(folder.parent)
  jax.config.update("jax_compilation_cache_dir", str(folder))
  if _LEAST not in os.environ:
    jax.config.update(_LEAST.lower(), _LEAST_SECONDS)
  if tells == "always" or (tells == "new" and is_new):
    print(
      f"compiled programs are kept in {folder}, {LARGEST >> 30} GiB at most "
      f"({_OTHERS})",
      file=sys.stderr,
      flush=True,
    )


def setting(name: str) -> Any:
  """Return a setting of JAX, whose names its `config` makes as it goes."""
  return getattr(jax.config, name)


def default_folder() -> pathlib.Path:
  """Return the folder of this user, these compilers and this processor.

  Raises:
    RuntimeError: the user has no home.
  """
  given = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
  # The specification of XDG: a relative path counts as none.
  base = given if given.is_absolute() else pathlib.Path.home() / ".cache"
  return base / "bertjax" / "xla" / key()


def key(
  cpuinfo: pathlib.Path = CPUINFO, environment: Mapping[str, str] = os.environ
) -> str:
  """Return the name of the folder of these compilers and this processor."""
  text = repr(describe_processor(cpuinfo, environment))
  processor = hashlib.sha256(text.encode()).hexdigest()[:8]
  names = [f"{name}-{_version(name)}" for name in _PACKAGES]
  return "_".join((*names, f"{platform.machine()}-{processor}"))


def describe_processor(
  cpuinfo: pathlib.Path, environment: Mapping[str, str]
) -> dict[str, Any]:
  """Return what a program for this processor depends on."""
  usable = getattr(os, "sched_getaffinity", None)
  found: dict[str, Any] = {
    "machine": platform.machine(),
    "processor": platform.processor(),
    "cores": len(usable(0)) if usable else os.cpu_count(),
    **{name: environment.get(name, "") for name in _THREADS},
  }
  if cpuinfo.is_file():
    first, *_ = cpuinfo.read_text(encoding="utf-8").split("\n\n")
    for line in first.splitlines():
      name, _, value = (part.strip() for part in line.partition(":"))
      if name in _FIELDS:
        found[name] = sorted(value.split()) if name in _LISTS else value
  return found


def make_writable(folder: pathlib.Path) -> None:
  """Make a folder for this user alone, if there is none.

  Who can write to the folder can have this user run any code.

  Raises:
    OSError: nothing can be written there.
  """
  folder.mkdir(mode=0o700, parents=True, exist_ok=True)
  with tempfile.TemporaryFile(dir=folder) as file:
    file.write(b"-")


def remove_cut(folder: pathlib.Path) -> None:
  """Remove the programs that a killed process wrote in part.

  JAX would warn of them at every start, and never write them again.
  """
  mark = folder / _CHECKED
  now, checked = time.time(), 0.0
  with contextlib.suppress(OSError):
    checked = mark.stat().st_mtime - _WRITING_SECONDS
  for path in folder.glob("*-cache"):
    with contextlib.suppress(OSError):  # another process may remove it
      written = path.stat().st_mtime
      is_due = checked <= written < now - _WRITING_SECONDS
      if is_due and not _is_whole(path):
        path.unlink()
  with contextlib.suppress(OSError):
    mark.touch()


def prune(root: pathlib.Path, largest: int = LARGEST) -> None:
  """Remove the files that were read or written longest ago, over `largest`."""
  found = []
  for path in root.rglob("*"):
    with contextlib.suppress(OSError):  # another process may remove it
      status = path.lstat()
      if stat.S_ISREG(status.st_mode):
        used = max(status.st_atime, status.st_mtime)
        found.append((used, status.st_size, path))
  total = sum(size for _, size, _ in found)
  for _, size, path in sorted(found):
    if total <= largest:
      break
    with contextlib.suppress(OSError):
      path.unlink()
    total -= size


def _check_given(given: str) -> None:
  """Warn of a folder of the user's that JAX could not write to."""
  if not given or "://" in given:
    return
  folder = pathlib.Path(given)
  try:
    make_writable(folder)
  except OSError as error:
    reads = folder.is_dir()
    _LOG.warning(
      "JAX_COMPILATION_CACHE_DIR=%s cannot be written (%s): compiled programs "
      "are %s; name a folder that can be written",
      given,
      error.strerror,
      "read from it, and new ones are not kept" if reads else "not kept",
    )
    if reads:
      jax.config.update(_LEAST.lower(), float("inf"))
    else:
      jax.config.update("jax_enable_compilation_cache", False)


def _is_whole(path: pathlib.Path) -> bool:
  decompressor = zstandard.ZstdDecompressor().decompressobj()
  try:
    with path.open("rb") as file:
      while part := file.read(1 << 20):
        decompressor.decompress(part)
  except zstandard.ZstdError:
    return False
  return decompressor.eof


def _version(package: str) -> str:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:
    return "none"
