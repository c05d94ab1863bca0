# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import sys

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from data_pipelines.corpora.corpus import Corpus


class Broken(MemoryFileSystem):
  """A bucket without credentials, and the exception of its client."""

  protocol = "broken"

  def info(self, path, **kwargs):
    raise RuntimeError("no credentials\nand much more")


@pytest.mark.parametrize(
  ("url", "package", "extra"),
  [
    ("gs://bucket/*.txt", "gcsfs", "gcs"),
    ("s3://bucket/a.txt", "s3fs", "s3"),
  ],
)
def test_the_package_to_install_is_named(url, package, extra, monkeypatch):
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(
    ValueError, match=rf"needs {package}; pip install 'bertjax\[{extra}\]'"
  ):
    Corpus(url)


def test_an_exception_of_a_client_is_one_line():
  fsspec.register_implementation("broken", Broken, clobber=True)
  with pytest.raises(
    ValueError, match=r"cannot read broken://bucket.*: RuntimeError: no cred"
  ) as caught:
    Corpus("broken://bucket/*.txt")
  assert "\n" not in str(caught.value)
  with pytest.raises(ValueError, match="foo://x: Protocol not known"):
    Corpus("foo://x")
