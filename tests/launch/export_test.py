# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One table of formats, and one command for all of them."""

import errno
import os

import pytest

from launch import export
from launch.exports.formats import Options


@pytest.mark.parametrize("format", export.FORMATS)
def test_nothing_is_read_before_the_arguments_are_right(format, tmp_path):
  (tmp_path / "mine").write_text("x")
  with pytest.raises(ValueError, match="give another folder"):
    export.run(bundle="absent", output=tmp_path, format=format)
  with pytest.raises(ValueError, match="either --bundle=DIR or --workdir=DIR"):
    export.run(output=tmp_path / "x", format=format)
  with pytest.raises(ValueError, match="--step=3 needs --workdir"):
    export.run(bundle="absent", output=tmp_path / "x", format=format, step=3)


def test_what_no_format_is_called_is_refused(tmp_path):
  with pytest.raises(ValueError, match="--format=onyx; give one of huggingf"):
    export.run(bundle="absent", output=tmp_path / "x", format="onyx")


def test_an_option_of_another_format_is_refused(tmp_path):
  with pytest.raises(ValueError, match="for_finetuning=True is for --format=h"):
    export.run(
      bundle="absent",
      output=tmp_path / "x",
      format="bundle",
      options=Options(for_finetuning=True),
    )


def test_a_full_disk_names_the_folder(tmp_path, monkeypatch):
  def write(*_):  # as onnx does, which names no file
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  form = export.FORMATS["onnx"]._replace(write=write)
  monkeypatch.setattr(export, "FORMATS", {"onnx": form})
  monkeypatch.setattr(export, "read_bundle", lambda _: None)
  target = tmp_path / "graph"
  with pytest.raises(OSError, match=r"No space left on device: '.*graph'"):
    export.run(output=target, format="onnx", bundle="b")
