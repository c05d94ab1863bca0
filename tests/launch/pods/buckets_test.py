# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import re

import pytest
import yaml

from launch.commands import output_paths
from launch.pods import buckets
from tests.testing.pod_documents import container, make_workload, write_all


@pytest.mark.parametrize(
  ("workdir", "bucket", "folder"),
  [
    ("gs://b/run", "b", "/buckets/b/run"),
    ("gs://my-b.org_1/a/b/", "my-b.org_1", "/buckets/my-b.org_1/a/b"),
    ("gs://b", "b", "/buckets/b"),
    ("gs://b/", "b", "/buckets/b"),
  ],
)
def test_a_workdir_is_below_the_mount_point_of_its_bucket(
  workdir, bucket, folder
):
  place = buckets.parse(workdir)
  assert (place.bucket, place.folder) == (bucket, folder)
  assert f"{folder}/".startswith(f"{buckets.mount_point(bucket)}/")
  output_paths.check_folder("workdir", place.folder)


@pytest.mark.parametrize(
  "workdir",
  [
    *("/tmp/run", "gs://", "s3://b/run", "gs://B/run", "gs://-b/run"),
    *("gs://b/a b", "gs://b/../c", "gs://b/a/./c", "gs://b/a//c", "gs://b\n"),
    "gs://b/$(x)\n",
  ],
)
def test_a_workdir_outside_of_buckets_is_refused(workdir):
  with pytest.raises(ValueError, match="--workdir=") as error:
    buckets.parse(workdir)
  assert repr(workdir) in str(error.value)
  assert "\n" not in str(error.value)


def test_every_file_mounts_the_bucket_where_the_command_writes():
  files = write_all(make_workload())
  folder = buckets.mount_point("bucket")
  manifest = yaml.safe_load(files["jobset"])
  assert folder in {
    mount["mountPath"] for mount in container(manifest)["volumeMounts"]
  }
  task = yaml.safe_load(files["skypilot"])
  assert task["file_mounts"] == {
    folder: {"source": "gs://bucket", "mode": "MOUNT"}
  }
  for text in files.values():
    assert f"--workdir={folder}/run" in text
    assert "--workdir=gs://" not in text


def test_no_mount_caches_files_that_another_host_may_change():
  # The two spellings of one option: of the command and of the driver.
  spelt = {
    re.sub(r"[=:]", "-", option).removeprefix("file-system-")
    for option in buckets.CSI_OPTIONS.split(",")
  }
  assert spelt == {
    flag.removeprefix("--").replace("=", "-") for flag in buckets.GCSFUSE_FLAGS
  }
  assert {
    "metadata-cache-ttl-secs-0",
    "metadata-cache-negative-ttl-secs-0",
  } < spelt
