# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import copy

import pytest
import yaml

from bertjax.plan.hardware.slices import shapes as all_shapes
from launch import cli
from launch.pods import jobset, topologies
from tests.testing.pod_documents import (
  IMAGE,
  complaints,
  container,
  job_spec,
  make_workload,
)


def make_manifest(topology="v5e:16x16", queue="tpu", **settings):
  return jobset.make_manifest(
    make_workload(topology, **settings), image=IMAGE, queue=queue
  )


def outcome(manifest, code, restarts=0):
  """Return what happens to the set when one pod exits with `code`."""
  if code == 0:
    return "complete"
  job = job_spec(manifest)
  assert job["backoffLimit"] == 0
  reason = "BackoffLimitExceeded"
  for rule in job["podFailurePolicy"]["rules"]:
    wanted = rule["onExitCodes"]
    inside = code in wanted["values"]
    if inside == (wanted["operator"] == "In"):
      assert rule["action"] == "FailJob"
      reason = "PodFailurePolicy"
      break
  policy = manifest["spec"]["failurePolicy"]
  for rule in policy["rules"]:
    if reason in rule["onJobFailureReasons"]:
      return {"FailJobSet": "fail"}[rule["action"]]
  return "restart" if restarts < policy["maxRestarts"] else "fail"


@pytest.mark.parametrize("kind", topologies.CHIPS)
def test_every_slice_gives_a_valid_manifest_with_a_pod_a_host(kind):
  shapes = all_shapes(kind)
  # The larger kinds have hundreds of shapes, all of one form.
  for shape in shapes if len(shapes) < 20 else shapes[:12] + shapes[12::25]:
    for slices in (1, 3):
      topology = f"{kind}:{'x'.join(map(str, shape))}"
      if slices > 1 and topologies.find(topology).hosts == 1:
        continue
      manifest = make_manifest(topology, slices=slices, spot=slices == 1)
      assert complaints("jobset", manifest) == []
      (job,) = manifest["spec"]["replicatedJobs"]
      spec = job_spec(manifest)
      assert spec["parallelism"] == spec["completions"]
      chips = container(manifest)["resources"]["limits"]["google.com/tpu"]
      pods = job["replicas"] * spec["parallelism"]
      assert pods * chips == topologies.find(topology).chips * slices
      selector = spec["template"]["spec"]["nodeSelector"]
      name = "cloud.google.com/gke-tpu-topology"
      assert selector[name] == topology.partition(":")[2]


@pytest.mark.parametrize(
  "path",
  [
    ("spec", "failurePolicy", "maxRestart"),
    ("spec", "suspended"),
    ("spec", "replicatedJobs", 0, "template", "spec", "backofLimit"),
    (
      *("spec", "replicatedJobs", 0, "template", "spec", "template", "spec"),
      "terminationGracePeriod",
    ),
  ],
)
def test_the_schema_refuses_a_field_that_does_not_exist(path):
  manifest = copy.deepcopy(make_manifest())
  place = manifest
  for key in path[:-1]:
    place = place[key]
  place[path[-1]] = 1
  (complaint,) = complaints("jobset", manifest)
  assert path[-1] in complaint


def test_the_schema_refuses_another_restart_strategy():
  manifest = make_manifest()
  manifest["spec"]["failurePolicy"]["restartStrategy"] = "recreate"
  assert "recreate" in complaints("jobset", manifest)[0]


def test_only_restart_codes_restart():
  manifest = make_manifest(max_restarts=2)
  restarts = {cli.RESTART, *range(127, 256)}
  assert {code: outcome(manifest, code) for code in (0, 1, 42)} == {
    0: "complete",
    1: "fail",
    42: "restart",
  }
  for code in range(1, 256):
    expected = "restart" if code in restarts else "fail"
    assert outcome(manifest, code) == expected, code
  assert outcome(manifest, 137, restarts=2) == "fail"


def test_exit_codes_are_sorted_unique_and_of_our_container():
  # What the API server asks of them and no schema says.
  manifest = make_manifest()
  (rule,) = job_spec(manifest)["podFailurePolicy"]["rules"]
  values = rule["onExitCodes"]["values"]
  assert values == sorted(set(values))
  assert len(values) <= 255
  assert rule["onExitCodes"]["containerName"] == container(manifest)["name"]
  pod = job_spec(manifest)["template"]["spec"]
  assert pod["restartPolicy"] == "Never"


def test_a_queue_suspends_and_none_does_not():
  queued, free = make_manifest(), make_manifest(queue="")
  assert queued["spec"]["suspend"] is True
  label = "kueue.x-k8s.io/queue-name"
  assert queued["metadata"]["labels"][label] == "tpu"
  assert "suspend" not in free["spec"]
  assert "labels" not in free["metadata"]
  assert complaints("jobset", free) == []


def test_flags_reach_the_manifest():
  manifest = make_manifest(
    "v6e:4x4",
    slices=2,
    grace_seconds=77,
    max_restarts=5,
    spot=True,
    service_account="trainer",
    environment=("A=b=c", "JAX_PLATFORMS=tpu"),
  )
  assert complaints("jobset", manifest) == []
  pod = job_spec(manifest)["template"]["spec"]
  assert pod["terminationGracePeriodSeconds"] == 77
  assert manifest["spec"]["failurePolicy"]["maxRestarts"] == 5
  assert pod["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
  assert pod["serviceAccountName"] == "trainer"
  assert pod["hostNetwork"] is True
  variables = {
    item["name"]: item["value"] for item in container(manifest)["env"]
  }
  assert variables == {
    "JAX_PLATFORMS": "tpu",
    "JAX_COORDINATOR_PORT": "8476",
    "PYTHONUNBUFFERED": "1",
    "A": "b=c",
  }
  assert len(container(manifest)["env"]) == 4


@pytest.mark.parametrize("slices", [1, 2])
def test_the_driver_mounts_the_bucket(slices):
  manifest = make_manifest("v6e:4x4", slices=slices, service_account="trainer")
  template = job_spec(manifest)["template"]
  annotations = template["metadata"]["annotations"]
  assert annotations == {"gke-gcsfuse/volumes": "true"}
  (bucket,) = (each for each in template["spec"]["volumes"] if "csi" in each)
  assert bucket["csi"]["driver"] == "gcsfuse.csi.storage.gke.io"
  attributes = bucket["csi"]["volumeAttributes"]
  assert attributes["bucketName"] == "bucket"
  # The pod's own account opens it, also on the host's network.
  on_host = template["spec"].get("hostNetwork", False)
  assert ("hostNetworkPodKSA" in attributes) == on_host == (slices > 1)
  mounts = container(manifest)["volumeMounts"]
  assert [each["name"] for each in mounts] == [
    each["name"] for each in template["spec"]["volumes"]
  ]
  # The API server takes texts only here; the schema says so.
  assert all(isinstance(value, str) for value in attributes.values())
  attributes["mountOptions"] = 0
  assert complaints("jobset", manifest)


def test_kubernetes_expands_no_variable_in_the_command():
  arguments = ("--config.note=$(HOSTNAME) $HOME 'x' 1e5",)
  command = container(make_manifest(arguments=arguments))["command"]
  assert command[-1] == "--config.note=$$(HOSTNAME) $HOME 'x' 1e5"


def test_the_text_says_what_the_manifest_is():
  text = jobset.write(make_workload(), image=IMAGE, queue="tpu")
  assert yaml.safe_load(text) == make_manifest()
  # A word is not cut, and the options of a mount are one.
  long = [line.split() for line in text.splitlines() if len(line) > 80]
  assert [words[0] for words in long] == ["mountOptions:"]


# NAME-slice-0-63-abcde: what Kubernetes makes of the name is the limit.
def test_names_are_as_long_as_pods_allow():
  make_manifest(name="a" * 46)
  with pytest.raises(ValueError, match="give at most 46") as error:
    make_manifest(name="a" * 47)
  assert "-slice-0-63-abcde" in str(error.value)
  assert "\n" not in str(error.value)
  make_manifest("v5e:4x4", name="a" * 47)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"queue": "TPU"}, "--queue='TPU'"),
    ({"queue": "a" * 64}, "give at most 63"),
    ({"image": ""}, "--image=''"),
    ({"image": "a b"}, "--image='a b'"),
    ({"namespace": "a_b"}, "--namespace='a_b'"),
  ],
)
def test_what_kubernetes_would_refuse_is_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    jobset.make_manifest(make_workload(), **{"image": IMAGE} | settings)
