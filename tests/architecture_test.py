# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of the house, held: who imports whom, and how long things grow."""

import ast
import functools
import itertools
import pathlib
import statistics
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
ROOMS = ("bertjax", "data_pipelines", "configs", "launch")
SOURCES = sorted(
  path
  for room in (*ROOMS, "benchmarks")
  for path in (ROOT / room).rglob("*.py")
)

# A room may import the rooms of its own layer and of the layers below it.
LAYERS = {
  "bertjax": (
    {"__main__", "batch", "config", "files", "trials"},
    {"model"},
    {"objectives", "optim", "parallel"},
    {"train"},
    {"checkpoints", "interop"},
    {"finetune", "plan", "sweep"},
  ),
  "data_pipelines": (
    {"bins", "corpora", "host_rng", "tokenizers"},
    {"store"},
    {"prepare", "rows", "tasks"},
  ),
  "launch": (
    {"cli", "commands", "console", "host_memory"},
    {"hosts", "pods", "preflight", "reports", "run", "tasks"},
    {"compare", "exports", "inference"},
    {"doctor", "embed", "evaluate", "export", "finetune", "import_weights"}
    | {"plan", "predict"}
    | {"prepare", "pretrain", "rehearse"},
    {"demo", "glue", "sweep"},
  ),
}
# Rooms of one layer that do not know each other.
STRANGERS = {
  frozenset(pair)
  for rooms in (
    ("data_pipelines.prepare", "data_pipelines.rows", "data_pipelines.tasks"),
    ("data_pipelines.corpora", "data_pipelines.tokenizers"),
    ("bertjax.finetune", "bertjax.plan", "bertjax.sweep"),
    ("launch.run", "launch.reports", "launch.pods"),
  )
  for pair in itertools.combinations(rooms, 2)
}
FORBIDDEN_IN_BERTJAX = {
  "tensorflow",
  "tensorflow_datasets",
  "grain",
  "tokenizers",
  "sentencepiece",
  "absl",
  "ml_collections",
  "torch",
  "transformers",
}
MAX_FILE_LINES = 340
MAX_TEST_LINES = 400
# Files and folders at the root of a package: as many as one can hold in mind.
MAX_ROOMS = {"bertjax": 15, "data_pipelines": 8, "launch": 27}
# What may compile for slices that are not there; training never does.
PLAN = "bertjax.plan"
PLANNERS = (
  *(PLAN, "launch.plan", "launch.pods", "launch.reports.plan"),
  "launch.sweep.on_slice",  # which a dry run alone imports
)
# Tests of more than one module: comparisons with PyTorch, ahead-of-time
# compiles, and whole commands.
WHOLE = {
  "bertjax/interop/heads_parity_test.py",
  "bertjax/interop/torch_parity_test.py",
  "bertjax/plan/compiled_test.py",
  "data_pipelines/start_up_test.py",
  "launch/curriculum_test.py",
  "launch/formats_test.py",
  "launch/mixture_test.py",
  "launch/pods/scripts_test.py",
  "launch/resume_test.py",
  "launch/sentencepiece_test.py",
  "launch/two_processes_test.py",
  "launch/vocabulary_extension_test.py",
}
# Modules without a test file of their own, and where they are tested.
MIRRORED = ("bertjax", "data_pipelines", "launch")
TESTED_ELSEWHERE = {
  # Chips and slices are looked up by the name of a topology.
  "bertjax/plan/hardware/chips.py": "bertjax/plan/hardware/topologies_test.py",
  "bertjax/plan/hardware/slices.py": "bertjax/plan/hardware/topologies_test.py",
  # What a plan counts, and the vocabulary and variables it compiles with.
  "bertjax/plan/counting.py": "bertjax/plan/planning_test.py",
  "bertjax/plan/environment.py": "bertjax/plan/hardware/topologies_test.py",
  "bertjax/plan/vocabulary.py": "bertjax/train/program_test.py",
  # A family is a record, which is compared with transformers.
  "bertjax/interop/families/bert.py": "bertjax/interop/torch_parity_test.py",
  # The parts of a graph, which is run whole.
  **dict.fromkeys(
    (
      f"bertjax/interop/onnx/{name}.py"
      for name in (
        *("attention", "encoder", "heads", "layers", "names", "positions"),
      )
    ),
    "bertjax/interop/onnx/bert_test.py",
  ),
  # Needs the environment of Apache Beam, which beam_test makes.
  "data_pipelines/prepare/beam_steps.py": "data_pipelines/prepare/beam_test.py",
  # What a trial keeps, with the trial.
  "bertjax/finetune/keeping.py": "bertjax/finetune/trial_test.py",
  # What an experiment found, with what finds it.
  "bertjax/finetune/outcome.py": "bertjax/finetune/experiment_test.py",
  "bertjax/trials/finding.py": "bertjax/finetune/results_page_test.py",
  "bertjax/finetune/answer_spans.py": (
    "bertjax/finetune/question_answering_test.py"
  ),
  # Flags, and rows full of windows.
  "launch/inference/input_flags.py": "launch/predict_test.py",
  "launch/inference/packed_rows.py": "launch/inference/predictor_test.py",
  "launch/exports/onnx_card_kinds.py": "launch/exports/onnx_card_test.py",
  # Sentences and figures of a report, which are checked on the page.
  "launch/compare/figures.py": "launch/compare/report_test.py",
  "launch/reports/finetune_figures.py": (
    "launch/reports/finetune_report_test.py"
  ),
  "launch/reports/plan_figures.py": "launch/reports/plan_report_test.py",
  "launch/reports/plan_words.py": "launch/reports/plan_report_test.py",
}
# Modules that declare and do nothing: dataclasses, protocols and constants.
DECLARATIONS = {
  # Fields, whose bounds and conditions `config/fields_test.py` holds.
  *(
    f"bertjax/config/{name}.py"
    for name in ("data", "finetune", "model", "objective", "optimizer", "run")
  ),
  "bertjax/config/sweep.py",
  "bertjax/config/names.py",  # names of fields in messages
  "bertjax/model/ops/flash_inputs.py",  # what two kernels are given
  "bertjax/finetune/review.py",  # what a report shows of an arm
  "bertjax/objectives/task.py",  # the protocol of what a step learns
  "data_pipelines/tokenizers/huggingface_names.py",
}
MAX_FUNCTION_LINES = 60
DRAWERS = {"utils", "helpers", "misc", "common"}


def module_name(path: pathlib.Path) -> str:
  parts = path.relative_to(ROOT).with_suffix("").parts
  return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def nodes(path: pathlib.Path) -> list[ast.AST]:
  """Return the imports and functions of `path`, also those in functions."""
  kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef)
  found = ast.walk(ast.parse(path.read_text()))
  return [node for node in found if isinstance(node, kept)]


@functools.cache
def imports(path: pathlib.Path) -> frozenset[str]:
  """Dotted names of everything `path` imports, also inside functions."""
  names = set()
  for node in nodes(path):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f"{path}: relative import"
      names |= {f"{node.module}.{alias.name}" for alias in node.names}
  return frozenset(names)


def room_of(module: str) -> str:
  """Return `bertjax.model` for `bertjax.model.bert`."""
  return ".".join(module.split(".")[:2])


def layer(module: str) -> int:
  """Where the room of `module` stands in LAYERS."""
  package, name = module.split(".")[:2]
  for index, rooms in enumerate(LAYERS[package]):
    if name in rooms:
      return index
  raise AssertionError(f"{module} has no layer: give it one in LAYERS")


def functions(path: pathlib.Path) -> list[tuple[str, int]]:
  """Name and length in lines of every function, decorators left out."""
  return [
    (node.name, node.end_lineno - node.lineno + 1)
    for node in nodes(path)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    and node.end_lineno
  ]


@pytest.mark.parametrize("package", [*ROOMS, "benchmarks"])
def test_rooms_import_only_what_the_plan_allows(package):
  for path in SOURCES:
    if path.relative_to(ROOT).parts[0] == package:
      check_imports(path)


def check_imports(path: pathlib.Path) -> None:
  module = module_name(path)
  room = module.split(".")[0]
  for name in imports(path):
    head = name.split(".")[0]
    if room == "bertjax":
      assert head not in FORBIDDEN_IN_BERTJAX, f"{module} imports {name}"
      assert head not in {"data_pipelines", "configs", "launch"}, name
    if room in LAYERS and head == room and name.count(".") and module != room:
      assert layer(name) <= layer(module), f"{module} imports {name}"
      assert {room_of(module), room_of(name)} not in STRANGERS, (
        f"{module} imports {name}"
      )
    if room == "data_pipelines" and head in {*ROOMS, "jax", "flax"}:
      allowed = (
        "data_pipelines",
        "bertjax.batch",
        "bertjax.config",
        "bertjax.files",
      )
      assert name.startswith(allowed), f"{module} imports {name}"
    if room == "configs" and head not in sys.stdlib_module_names:
      allowed = ("configs", "ml_collections", "bertjax.config")
      assert name.startswith(allowed), f"{module} imports {name}"
    if name.startswith("jax._src") and room != "tests":
      assert module == "bertjax.parallel.multihost", f"{module} imports {name}"
    if head == "orbax":
      assert module == "bertjax.checkpoints.checkpoint", (
        f"{module} imports {name}"
      )
    if head == "grain" and room != "benchmarks":
      assert module == "data_pipelines.rows.pipeline", (
        f"{module} imports {name}"
      )


def test_the_model_names_axes_and_never_imports_sharding():
  for path in (ROOT / "bertjax" / "model").rglob("*.py"):
    assert not any("sharding" in name for name in imports(path)), path


def import_graph() -> dict[str, set[str]]:
  """Return the modules that each module imports."""
  modules = {module_name(path) for path in SOURCES}
  return {
    module_name(path): {
      known
      for name in imports(path)
      for known in (name, name.rpartition(".")[0])
      # A package's lazy re-exports are not part of its members' imports.
      if known in modules and known not in ROOMS
    }
    for path in SOURCES
  }


def assert_no_cycle(graph: dict[str, set[str]]) -> None:
  done: set[str] = set()

  def visit(node: str, trail: tuple[str, ...]) -> None:
    assert node not in trail, f"cycle: {' -> '.join((*trail, node))}"
    if node in done:
      return
    for other in graph[node] - {node}:
      visit(other, (*trail, node))
    done.add(node)

  for node in graph:
    visit(node, ())


def test_modules_have_no_cycle():
  assert_no_cycle(import_graph())


def test_rooms_have_no_cycle():
  rooms: dict[str, set[str]] = {}
  for module, names in import_graph().items():
    # The package itself re-exports from every room.
    if module not in ROOMS:
      rooms.setdefault(room_of(module), set()).update(map(room_of, names))
  assert_no_cycle(rooms)


def test_files_stay_short():
  lines = {path: len(path.read_text().splitlines()) for path in SOURCES}
  assert {path: n for path, n in lines.items() if n > MAX_FILE_LINES} == {}


def test_functions_stay_short():
  # The one loop reads better whole.
  apart = ("bertjax.train.loop", "train")
  assert {
    (module_name(path), name): length
    for path in SOURCES
    for name, length in functions(path)
    if length > MAX_FUNCTION_LINES and (module_name(path), name) != apart
  } == {}


@pytest.mark.parametrize("package", MAX_ROOMS)
def test_a_package_has_few_rooms(package):
  rooms = [
    path.name
    for path in (ROOT / package).iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").is_file())
    and path.name != "__init__.py"
  ]
  assert len(rooms) <= MAX_ROOMS[package], sorted(rooms)


def test_training_never_imports_the_plan():
  for path in SOURCES:
    if not module_name(path).startswith((*PLANNERS, "benchmarks")):
      found = [name for name in imports(path) if name.startswith(PLAN)]
      assert not found, f"{path} imports {found}"


def test_warnings_do_not_go_through_the_logger_of_absl():
  """`launch.cli` silences it, because libraries are noisy there."""
  for path in SOURCES:
    if module_name(path) != "launch.cli":
      assert "absl.logging" not in imports(path), path


def test_tests_mirror_the_tree():
  """`pairs_test.py` tests `pairs.py`, and so does `pairs_reference_test.py`."""
  for room in ("bertjax", "data_pipelines", "launch"):
    for path in sorted((ROOT / "tests" / room).rglob("*_test.py")):
      name = path.relative_to(ROOT / "tests")
      words = name.stem.removesuffix("_test").split("_")
      stems = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
      found = any(
        (ROOT / name.with_name(f"{each}.py")).is_file()
        for stem in stems
        for each in (stem, f"__{stem}__")
      )
      assert found or str(name) in WHOLE, f"{name} tests no module"


def test_every_module_has_a_test_of_its_name():
  for path in SOURCES:
    name = path.relative_to(ROOT)
    if str(name) in DECLARATIONS:
      continue
    if name.parts[0] in MIRRORED and name.stem != "__init__":
      mirror = name.with_name(f"{name.stem.strip('_')}_test.py")
      where = TESTED_ELSEWHERE.get(str(name), mirror)
      assert (ROOT / "tests" / where).is_file(), f"{name} has no {mirror}"
  for name in (*TESTED_ELSEWHERE, *DECLARATIONS):
    assert (ROOT / name).is_file(), f"{name} is gone: take it off the list"


def test_test_files_stay_short():
  for path in sorted((ROOT / "tests").rglob("*.py")):
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_TEST_LINES, f"{path} has {lines} lines"


def test_no_module_is_a_drawer():
  for path in SOURCES:
    if module_name(path) != "configs.common":
      assert path.stem not in DRAWERS, path


def test_every_source_carries_its_licence():
  for path in (*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))):
    lines = path.read_text().splitlines()[:2]
    assert [line.startswith("# SPDX-") for line in lines] == [True, True], path


def test_style_figures_are_printed(capsys):
  lengths = [len(path.read_text().splitlines()) for path in SOURCES]
  inside = sorted(length for path in SOURCES for _, length in functions(path))
  tests = sum(
    len(path.read_text().splitlines())
    for path in (ROOT / "tests").rglob("*.py")
  )
  with capsys.disabled():
    print(
      f"\n{len(SOURCES)} files, {sum(lengths)} lines, median file "
      f"{statistics.median(lengths):.0f}; function median "
      f"{statistics.median(inside):.0f}, "
      f"p95 {inside[int(0.95 * len(inside))]}; "
      f"test lines / lines {tests / sum(lengths):.2f}"
    )
  assert lengths
