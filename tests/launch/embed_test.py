# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet
import pytest

from data_pipelines.tasks.table_files import Columns
from launch import embed
from launch.embed import Options
from launch.inference.inputs import Source
from launch.preflight.policy import Policy
from tests.testing import small
from tests.testing.classifiers import make_classifier, random_texts
from tests.testing.commands import run_command


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
  return small.make_bundle(tmp_path_factory.mktemp("embed") / "bundle")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  path = tmp_path_factory.mktemp("texts") / "in.jsonl"
  lines = [json.dumps({"text": text}) for text in random_texts(700, longest=9)]
  path.write_text("\n".join([lines[0], '{"text": ""}', *lines[1:]]))
  return Source(str(path), Columns(), skip_bad_rows=True)


def test_vectors_are_in_order_in_both_formats(bundle, source, tmp_path):
  # Parts of 64 rows for each device.
  options = Options(normalize=True, batch_size=1)
  embed.embed_file(bundle, source, str(tmp_path / "v.npy"), options)
  vectors = np.load(tmp_path / "v.npy")
  assert vectors.shape == (700, small.MODEL.hidden_size)
  assert vectors.dtype == np.float32
  np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
  embed.embed_file(bundle, source, str(tmp_path / "v.parquet"), options)
  table = pyarrow.parquet.read_table(tmp_path / "v.parquet")
  assert table["line"].to_pylist() == [1, *range(3, 702)]
  np.testing.assert_array_equal(
    np.stack(table["embedding"].to_numpy()), vectors
  )
  assert sorted(each.name for each in tmp_path.iterdir()) == [
    *("v.npy", "v.npy.run.json", "v.parquet", "v.parquet.run.json")
  ]


def test_an_interrupted_run_ends_with_the_same_bytes(
  bundle, source, tmp_path, monkeypatch
):
  options = Options(pooling="last4", batch_size=1)
  embed.embed_file(bundle, source, str(tmp_path / "whole.npy"), options)
  write = embed.ArrayRows.write
  done = []

  def interrupted(rows, results):
    done.append(len(results))
    if len(done) == 2:
      raise KeyboardInterrupt
    write(rows, results)

  monkeypatch.setattr(embed.ArrayRows, "write", interrupted)
  with pytest.raises(KeyboardInterrupt):
    embed.embed_file(bundle, source, str(tmp_path / "v.npy"), options)
  monkeypatch.undo()
  embed.embed_file(bundle, source, str(tmp_path / "v.npy"), options)
  assert (tmp_path / "v.npy").read_bytes() == (
    tmp_path / "whole.npy"
  ).read_bytes()


def test_a_full_disk_is_told_in_one_line(bundle, source, tmp_path):
  """The limit on the size of a file stands for the disk."""
  command = [
    *(sys.executable, "-m", "launch.embed", f"--bundle={bundle}"),
    *(f"--input={source.path}", f"--output={tmp_path / 'v.npy'}"),
    "--skip_bad_rows",
  ]
  done = subprocess.run(
    ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *command],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1, done.stderr
  (line,) = done.stderr.splitlines()
  assert line == (
    f"error: cannot write {tmp_path / 'v.npy.partial'}: File too large; make "
    "room, and run the same command again to continue"
  )


def test_other_options_are_refused(bundle, source, tmp_path):
  path = str(tmp_path / "v.npy")
  embed.embed_file(bundle, source, path)
  with pytest.raises(ValueError, match="of another pooling"):
    embed.embed_file(bundle, source, path, Options(pooling="cls"))
  with pytest.raises(ValueError, match=r"v\.txt; give a \.npy or \.parquet"):
    embed.embed_file(bundle, source, "v.txt")
  with pytest.raises(ValueError, match="an unknown number of rows"):
    embed.embed_file(bundle, Source("-", Columns()), path)
  with pytest.raises(ValueError, match=r"seq_length=17, .* reads 16 tokens"):
    embed.embed_file(bundle, source, path, Options(seq_length=17))


def test_a_single_text_that_is_cut_is_told(bundle, tmp_path, caplog):
  path = tmp_path / "in.jsonl"
  texts = [*["the cod"] * 39, "the cod " * 9]
  path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
  embed.embed_file(
    bundle, Source(str(path), Columns()), str(tmp_path / "v.npy")
  )
  told = "1 of 40 texts are longer than 16 tokens and lose their end"
  assert [record.message for record in caplog.records] == [told]
  # The fix is a flag of this command.
  options = Options(
    seq_length=3, policy=Policy(strict=frozenset(["cut_texts"]))
  )
  with pytest.raises(ValueError, match="a larger --seq_length, up to 16"):
    embed.embed_file(
      bundle, Source(str(path), Columns()), str(tmp_path / "w.npy"), options
    )


def test_rows_and_texts_that_a_comparison_leaves_out_are_told(
  bundle, tmp_path, caplog
):
  path = tmp_path / "pairs.tsv"
  rows = ["a\tb\tscore", "the cod\tthe cod\t5.0", "the cod\tan oak\thigh"]
  path.write_text("\n".join([*rows, f"the cod\t{'the cod ' * 9}\t2.5"]))
  columns = Columns("a", "score", "b")
  with pytest.raises(ValueError, match="give --skip_bad_rows") as caught:
    embed.compare_poolings(bundle, str(path), columns)
  assert "--config" not in str(caught.value)
  embed.compare_poolings(bundle, str(path), columns, skip_bad_rows=True)
  assert "1 row is left out: " in caplog.text
  assert "pairs.tsv:3 has the label 'high'; give a number" in caplog.text
  assert "1 of 2 texts are longer than 16 tokens" in caplog.text
  assert "--config" not in caplog.text


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (["--compare_poolings=p.tsv", "--normalize"], "--normalize is not read"),
    (["--compare_poolings=p.tsv", "--pooling=max"], "--pooling is not read"),
    (["--input=a.csv", "--output=v.npy", "--score_column=s"], "--score_column"),
  ],
)
def test_flags_without_effect_are_refused(arguments, words):
  done = run_command("launch.embed", "--bundle=nowhere", *arguments)
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: ")
  assert words in line


def test_poolings_are_compared_on_pairs(tmp_path, capsys):
  classifier = make_classifier(tmp_path / "model")
  path = tmp_path / "pairs.tsv"
  rows = ["a\tb\tscore", "the cod\tthe cod\t5.0", "the cod\tan oak\t-1"]
  path.write_text("\n".join([*rows, "the cod\tthe cods\t2.5"]))
  columns = Columns("a", "score", "b")
  found = embed.compare_poolings(classifier, str(path), columns)
  assert list(found) == ["cls", "mean", "max", "last4"]
  assert all(value > 0.4 for value in found.values())  # a text is like itself
  embed._show(found)
  assert "Raw [CLS] rarely is" in capsys.readouterr().out
  with pytest.raises(ValueError, match="give --text_pair_column"):
    embed.compare_poolings(classifier, str(path), Columns("a", "score"))
