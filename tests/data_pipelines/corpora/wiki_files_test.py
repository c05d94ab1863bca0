# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import bz2
import json

import pytest

from data_pipelines.corpora import long_documents
from data_pipelines.corpora.corpus import Corpus


def texts(path, **options):
  return [document.text for document in Corpus(str(path), **options)]


TAGGED = """<doc id="12" url="https://example.org/?curid=12" title="A "B" & C">
A "B" &amp; C

Water &lt;flows&gt;. It ends.

</doc>
<doc id="13" revid="7" url="https://example.org/?curid=13" title="Stone">
Stone

</doc>

"""
ARTICLES = ['A "B" & C\n\nWater <flows>. It ends.\n', "Stone\n"]


def json_of(texts):
  escape = lambda text: text.replace("&", "&amp;").replace("<", "&lt;")
  lines = (
    {"id": "1", "url": "u", "title": "t", "text": escape(text)}
    for text in texts
  )
  return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize("pack", [lambda data: data, bz2.compress])
@pytest.mark.parametrize("text", [TAGGED, json_of(ARTICLES)])
def test_files_of_wikiextractor_are_articles_without_tags(text, pack, tmp_path):
  suffix = ".bz2" if pack is bz2.compress else ""
  (tmp_path / "AA").mkdir()
  path = tmp_path / "AA" / f"wiki_00{suffix}"
  path.write_bytes(pack(text.encode()))
  (tmp_path / "AA" / f"wiki_01{suffix}").write_bytes(pack(b""))
  (tmp_path / "AA" / "notes_00").write_text("no")
  corpus = Corpus(str(tmp_path))
  found = list(corpus)
  assert [document.text for document in found] == ARTICLES
  assert found[0].name == f"{path}:1"
  assert corpus.passed_over == {"without suffix": 1}


def test_a_renamed_file_has_no_tags_either(tmp_path):
  path = tmp_path / "wiki.txt"
  path.write_text(TAGGED, encoding="utf-8")
  assert texts(path) == texts(path, documents="blank_line") == ARTICLES
  path.write_text("<doc> is no tag of WikiExtractor.\n")
  assert texts(path) == ["<doc> is no tag of WikiExtractor."]


def test_a_long_article_is_cut(tmp_path, monkeypatch):
  monkeypatch.setattr(long_documents, "MAX_CHARACTERS", 20)
  path = tmp_path / "wiki_00"
  path.write_text(TAGGED, encoding="utf-8")
  corpus = Corpus(str(path))
  found = [document.text for document in corpus]
  assert corpus.counts.cut == len(found) - 2 > 0
  assert " ".join(found).split() == " ".join(ARTICLES).split()


def test_what_is_no_file_of_wikiextractor_is_named(tmp_path):
  path = tmp_path / "wiki_00"
  path.write_text("Plain text.\n")
  with pytest.raises(
    ValueError, match=r"wiki_00 is named as the files of Wiki"
  ):
    texts(path)
  path.write_text(TAGGED + "between\n" + TAGGED)
  with pytest.raises(ValueError, match=r"wiki_00:12: text outside of <doc"):
    texts(path)
  corpus = Corpus(str(path), skip_bad_records=True)
  assert len(list(corpus)) == 4
  assert corpus.counts.skipped == 1
  for cut in (TAGGED.replace("</doc>", "", 1), TAGGED.rstrip()[:-3]):
    path.write_text(cut)
    with pytest.raises(ValueError, match=r"wiki_00:\d: .* has no </doc>"):
      texts(path, skip_bad_records=True)
