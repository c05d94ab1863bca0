# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A JobSet for GKE: a Job for each slice, a pod for each host.

All pods start and stop together. If a pod exits with a code that is no restart
code, `podFailurePolicy` fails its Job with the reason PodFailurePolicy, which
fails the JobSet. Any other exit fails a Job as well, because its
`backoffLimit` is 0, and the whole set starts again, up to `maxRestarts` times.
"""

from typing import Any

from launch.hosts import coordinator_port
from launch.pods import buckets, yaml_text
from launch.pods.workload import RESTART_CODES, Workload, check_label

API = "jobset.x-k8s.io/v1alpha2"
CONTAINER = "pretrain"
JOB = "slice"
# GKE's driver of Cloud Storage FUSE, and the annotation that adds its sidecar.
CSI_DRIVER = "gcsfuse.csi.storage.gke.io"
CSI_ANNOTATION = "gke-gcsfuse/volumes"
# Ports of libtpu, of Megascale between slices, and of JAX's coordinator.
PORTS = {
  "libtpu": 8471,
  "megascale": 8080,
  "coordinator": coordinator_port.PORT,
}

_TPU = "google.com/tpu"
_NODE = "cloud.google.com/"
_SPOT = f"{_NODE}gke-spot"


def make_manifest(
  workload: Workload, *, image: str, queue: str = "", namespace: str = "default"
) -> dict[str, Any]:
  """Return the manifest, ready for `kubectl apply`.

  Args:
    workload: the run.
    image: an image that has bertjax, such as that of `--kind=dockerfile`.
    queue: Kueue's LocalQueue; "" starts at once, without Kueue.
    namespace: Kubernetes namespace of all objects.

  Raises:
    ValueError: a name that Kubernetes would refuse.
  """
  _check(workload, image, queue, namespace)
  metadata: dict[str, Any] = {
    "name": workload.name,
    "namespace": namespace,
    # A slice is a node pool, and each Job gets one alone.
    "annotations": {
      "alpha.jobset.sigs.k8s.io/exclusive-topology": f"{_NODE}gke-nodepool"
    },
  }
  if queue:
    metadata["labels"] = {"kueue.x-k8s.io/queue-name": queue}
  return {
    "apiVersion": API,
    "kind": "JobSet",
    "metadata": metadata,
    "spec": {
      # Kueue resumes the set. Suspended from the beginning, nothing starts
      # ahead of the queue even if Kueue's webhook missed the set.
      **({"suspend": True} if queue else {}),
      # The headless service by which the hosts find the coordinator.
      "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
      "failurePolicy": {
        "maxRestarts": workload.max_restarts,
        # Wait for pods that still save: two sets must not share a workdir.
        "restartStrategy": "BlockingRecreate",
        "rules": [
          {
            "name": "mistake",
            "action": "FailJobSet",
            "onJobFailureReasons": ["PodFailurePolicy"],
          }
        ],
      },
      "replicatedJobs": [
        {
          "name": JOB,
          "replicas": workload.slices,
          "template": {"spec": _job(workload, image)},
        }
      ],
    },
  }


def write(
  workload: Workload, *, image: str, queue: str = "", namespace: str = "default"
) -> str:
  """Return `make_manifest` as YAML."""
  manifest = make_manifest(
    workload, image=image, queue=queue, namespace=namespace
  )
  return (
    f"# {workload.slices} × {workload.slice}: each slice is a node pool of\n"
    f"# {workload.slice.hosts} × {workload.slice.machine}. Made by "
    "`python -m launch.pods --kind=jobset`.\n" + yaml_text.write(manifest)
  )


def _check(workload: Workload, image: str, queue: str, namespace: str) -> None:
  # Kubernetes numbers the pods of a Job and adds five random letters.
  last = f"-{JOB}-{workload.slices - 1}-{workload.slice.hosts - 1}-abcde"
  check_label("name", workload.name, suffix=last)
  check_label("namespace", namespace)
  if queue:
    check_label("queue", queue)
  if workload.service_account:
    check_label("service_account", workload.service_account)
  if not image or any(letter.isspace() for letter in image):
    raise ValueError(f"--image={image!r}; give the image's name, with its tag")


def _job(workload: Workload, image: str) -> dict[str, Any]:
  hosts = workload.slice.hosts
  return {
    "parallelism": hosts,
    "completions": hosts,
    "completionMode": "Indexed",
    # Never replace a single pod: the others wait in a collective for it.
    "backoffLimit": 0,
    "podFailurePolicy": {
      "rules": [
        {
          "action": "FailJob",
          "onExitCodes": {
            "containerName": CONTAINER,
            "operator": "NotIn",  # codespell:ignore
            "values": yaml_text.Inline(RESTART_CODES),
          },
        }
      ]
    },
    "template": {
      "metadata": {"annotations": {CSI_ANNOTATION: "true"}},
      "spec": _pod(workload, image),
    },
  }


def _pod(workload: Workload, image: str) -> dict[str, Any]:
  selector = {
    f"{_NODE}gke-tpu-accelerator": workload.slice.chip.gke_accelerator,
    f"{_NODE}gke-tpu-topology": workload.slice.topology,
  }
  pod: dict[str, Any] = {
    "restartPolicy": "Never",
    "terminationGracePeriodSeconds": workload.grace_seconds,
    "nodeSelector": selector,
  }
  if workload.spot:
    selector[_SPOT] = "true"
    pod["tolerations"] = [
      {
        "key": _SPOT,
        "operator": "Equal",
        "value": "true",
        "effect": "NoSchedule",
      }
    ]
  if workload.slices > 1:
    # Between slices, the pod network has less bandwidth than the host's.
    pod |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
  if workload.service_account:
    pod["serviceAccountName"] = workload.service_account
  return pod | {
    "containers": [_container(workload, image)],
    # Input workers pass batches through shared memory; a container has 64 MB
    # of it by default.
    "volumes": [
      {"name": "shm", "emptyDir": {"medium": "Memory"}},
      _bucket(workload),
    ],
  }


def _bucket(workload: Workload) -> dict[str, Any]:
  """Return the volume that mounts the bucket."""
  attributes = {
    "bucketName": workload.bucket,
    "mountOptions": buckets.CSI_OPTIONS,
  }
  if workload.slices > 1:
    # On the host's network, the driver uses the pod's account only if asked.
    attributes["hostNetworkPodKSA"] = "true"
  return {
    "name": "bucket",
    "csi": {"driver": CSI_DRIVER, "volumeAttributes": attributes},
  }


def _literal(text: str) -> str:
  """Escape what Kubernetes would replace by a variable: $(NAME)."""
  return text.replace("$(", "$$(")


def _container(workload: Workload, image: str) -> dict[str, Any]:
  chips = workload.slice.chips_per_host
  return {
    "name": CONTAINER,
    "image": image,
    "command": [_literal(word) for word in workload.command],
    # GKE sets TPU_WORKER_ID, TPU_WORKER_HOSTNAMES and, for several slices,
    # MEGASCALE_*; JAX finds the coordinator from them.
    "env": [
      {"name": name, "value": _literal(value)}
      for name, value in workload.variables.items()
    ],
    "ports": [
      {"name": name, "containerPort": port} for name, port in PORTS.items()
    ],
    "resources": {"requests": {_TPU: chips}, "limits": {_TPU: chips}},
    "volumeMounts": [
      {"name": "shm", "mountPath": "/dev/shm"},
      {"name": "bucket", "mountPath": buckets.mount_point(workload.bucket)},
    ],
  }
