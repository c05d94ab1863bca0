# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine does not have is refused in a line, before it is used."""

import os

import pytest

from bertjax.parallel import backend
from tests.testing.commands import run_command

LIST = "usage:\nFlags:\n\t--xla_dump_to=\tstring\n\t--xla_dump_as=\tstring\n"
NO_PLUGIN = (
  "Unable to initialize backend 'tpu': Backend 'tpu' is not in the list of "
  "known backends: ['cpu']. (set JAX_PLATFORMS='' to automatically choose an "
  "available backend)"
)


@pytest.mark.parametrize(
  ("flags", "words"),
  [
    ("--xla_dump_ti=x", "does not know; did you mean --xla_dump_to?"),
    ("--xla_backend_optimization_level=all", "=all, which is no value of this"),
  ],
)
def test_a_command_refuses_flags_that_xla_aborts_for(flags, words):
  done = run_command(
    "launch.doctor", "--list", environment={**os.environ, "XLA_FLAGS": flags}
  )
  assert done.returncode == 1
  assert done.stderr.startswith(f"error: XLA_FLAGS has {flags}")
  assert done.stderr.count("\n") == 1
  assert words in done.stderr
  assert not done.stdout


@pytest.mark.parametrize(
  ("said", "line"),
  [
    (
      "F1 flags.cc:234] Unknown flags in XLA_FLAGS: --xla_a=1 --xla_b=2\n",
      "has --xla_a=1 --xla_b=2, which jaxlib .* does not know; leave them out",
    ),
    (
      "F1 flags.cc:234] Unknown flag in XLA_FLAGS: --xla_tpu_any=1\n",
      "does not know; flags of TPUs go into LIBTPU_INIT_ARGS",
    ),
    (
      'F1 flags.cc:171] Could not open file "a/b" to read flags for',
      "XLA_FLAGS=a/b is no file that can be read; give a file of flags, or",
    ),
  ],
)
def test_what_xla_says_becomes_a_line(monkeypatch, said, line):
  monkeypatch.setenv("XLA_FLAGS", "given")
  monkeypatch.setattr(
    backend, "_let_xla_read", {"given": said, backend._NO_VALUE: LIST}.get
  )
  with pytest.raises(ValueError, match=line) as caught:
    backend.check_flags()
  assert "\n" not in str(caught.value)


def test_without_flags_nothing_is_forked(monkeypatch):
  monkeypatch.setattr(os, "fork", lambda: pytest.fail("a fork"))
  for flags in ("", " "):
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setenv("LIBTPU_INIT_ARGS", flags)
    backend.check_flags()
  monkeypatch.setattr(backend, "_find_libtpu", lambda: "")
  monkeypatch.setenv("LIBTPU_INIT_ARGS", "--any")
  backend.check_flags()


LIBTPU_SAYS = (
  "E0000 00:00:1 common_lib.cc:554] INVALID_ARGUMENT: Error: unexpected worker "
  "hostname\n=== Source Location Trace: ===\n"
)


@pytest.mark.parametrize(
  ("said", "line"),
  [
    (
      "ERROR: Unknown command line flag 'xla_tpu_a'\n"
      "ERROR: Unknown command line flag 'xla_tpu_b'\n"
      "ERROR: Unknown command line flag 'xla_tpu_a'\n",
      r"^LIBTPU_INIT_ARGS has --xla_tpu_a --xla_tpu_b, which libtpu .* does "
      "not know; leave them out$",
    ),
    (
      "ERROR: Illegal value 'maybe' specified for flag 'xla_tpu_a'\n",
      "^LIBTPU_INIT_ARGS has --xla_tpu_a=maybe, which is no value of this fl",
    ),
    ("", ""),
  ],
)
def test_what_libtpu_says_becomes_a_line(monkeypatch, said, line):
  monkeypatch.delenv("XLA_FLAGS", raising=False)
  monkeypatch.setenv("LIBTPU_INIT_ARGS", "given")
  monkeypatch.setattr(backend, "_find_libtpu", lambda: "libtpu.so")
  monkeypatch.setattr(
    backend, "_let_libtpu_read", lambda _: f"{LIBTPU_SAYS}{said}"
  )
  if not line:
    backend.check_flags()
    return
  with pytest.raises(ValueError, match=line) as caught:
    backend.check_flags()
  assert "\n" not in str(caught.value)


def test_libtpu_is_the_file_that_jax_loads(monkeypatch, tmp_path):
  """JAX's `get_tpu_library_path` passes over a path that is not there."""
  installed = backend._find_libtpu()
  monkeypatch.setenv("TPU_LIBRARY_PATH", str(tmp_path / "libtpu.so"))
  assert backend._find_libtpu() == installed
  (tmp_path / "libtpu.so").touch()
  assert backend._find_libtpu() == str(tmp_path / "libtpu.so")


@pytest.mark.full
@pytest.mark.parametrize(
  ("flags", "words"),
  [
    ("--xla_tpu_no_such_flag=1", "has --xla_tpu_no_such_flag, which libtpu"),
    ("--xla_tpu_enable_latency_hiding_scheduler=x", "=x, which is no value of"),
    ("--xla_tpu_enable_latency_hiding_scheduler=true", ""),
  ],
)
def test_a_command_refuses_flags_that_libtpu_ends_for(flags, words):
  if not backend._find_libtpu():  # nothing reads the variable
    words = ""
  done = run_command(
    "launch.doctor",
    "--list",
    environment={**os.environ, "LIBTPU_INIT_ARGS": flags},
  )
  assert done.returncode == bool(words)
  assert words in done.stderr
  if words:
    assert done.stderr.startswith("error: LIBTPU_INIT_ARGS has ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
  ("asked", "error", "words"),
  [
    (
      "cuda",
      AssertionError(),
      "JAX has no plugin for it, which pip install 'bertjax[cuda]' installs;",
    ),
    (
      "tpu",
      RuntimeError(NO_PLUGIN),
      "JAX has no plugin for it, which pip install 'bertjax[tpu]' installs;",
    ),
    (
      "tpu",
      RuntimeError("Unable to initialize backend 'tpu': no device (set JAX_P"),
      "here: no device (set JAX_P; JAX_PLATFORMS=cpu runs on the processor",
    ),
    ("cpu", KeyError("x"), ""),
    ("", AssertionError(), ""),
  ],
)
def test_a_platform_that_is_not_here_is_a_line(
  monkeypatch, asked, error, words
):
  monkeypatch.setattr(backend, "_has_devices", lambda: False)
  monkeypatch.setenv("JAX_PLATFORMS", asked)
  found = backend.explain(error)
  assert words in found
  assert bool(words) == found.startswith(f"JAX_PLATFORMS={asked} cannot be")


def test_an_error_of_a_program_is_none_of_a_platform(monkeypatch):
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")
  assert not backend.explain(RuntimeError("a program ran out of memory"))
