# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make the schemas in this folder again from what their owners publish.

  python -m venv V && V/bin/pip install kubernetes-validate==1.37.0 \
    kubeflow-trainer-api==2.3.0 skypilot==0.14.1
  V/bin/python tests/schemas/derive.py

Left out is what says nothing of what is valid: descriptions, titles, defaults.
"""

import json
import pathlib
import re

HERE = pathlib.Path(__file__).parent
KUBERNETES = "v1.34.0-local-strict"
JOB_TEMPLATE = "io.k8s.api.batch.v1.JobTemplateSpec"
# From the CRD of kubernetes-sigs/jobset (config/components/crd/bases, commit
# 0a2be5c551fcee10134addb43a2fb2673743788e); the models have no enumerations.
ENUMS = {
  ("FailurePolicy", "restartStrategy"): ["Recreate", "BlockingRecreate"],
  ("FailurePolicyRule", "action"): [
    "FailJobSet",
    "RestartJobSet",
    "RestartJobSetAndIgnoreMaxRestarts",
  ],
  ("DependsOn", "status"): ["Ready", "Complete"],
}
SILENT = {"description", "title", "default"}


def bare(node, in_properties=False):
  """`node` without the keywords that say nothing of what is valid."""
  if isinstance(node, list):
    return [bare(item) for item in node]
  if not isinstance(node, dict):
    return node
  return {
    key: bare(value, key in ("properties", "$defs", "definitions"))
    for key, value in node.items()
    if in_properties or not (key in SILENT or key.startswith("x-kubernetes"))
  }


def references(schema):
  return set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(schema)))


def kubernetes(names):
  """Kubernetes' own definitions of `names`, and of all that they reach."""
  import kubernetes_validate

  folder = pathlib.Path(str(kubernetes_validate.__file__)).parent
  path = folder / "kubernetes-json-schema" / KUBERNETES / "_definitions.json"
  every = json.loads(path.read_text())["$defs"]
  found, waiting = {}, list(names)
  while waiting:
    name = waiting.pop()
    if name not in found:
      found[name] = bare(every[name])
      waiting += references(found[name])
  return found


def jobset():
  """The JobSet as its models have it, strict, around Kubernetes' Job."""
  from kubeflow_trainer_api.models import jobset_v1alpha2_job_set as models

  whole = models.JobsetV1alpha2JobSet.model_json_schema(by_alias=True)
  prefix = "JobsetV1alpha2"
  own = {
    name: value
    for name, value in whole.pop("$defs").items()
    if name.startswith(prefix)
  } | {f"{prefix}JobSet": whole}
  for name, value in own.items():
    value["additionalProperties"] = False
    for field, field_schema in value["properties"].items():
      # A field may be left out; null is none of its values.
      options = field_schema.pop("anyOf", [])
      for option in options:
        if option != {"type": "null"}:
          field_schema |= option
      enum = ENUMS.get((name.removeprefix(prefix), field))
      if enum:
        field_schema["enum"] = enum
  text = json.dumps(bare(own))
  text = text.replace("IoK8sApiBatchV1JobTemplateSpec", JOB_TEMPLATE)
  text = text.replace(
    "IoK8sApimachineryPkgApisMetaV1", "io.k8s.apimachinery.pkg.apis.meta.v1."
  ).replace("IoK8sApiCoreV1", "io.k8s.api.core.v1.")
  own = json.loads(text)
  # A status is the server's, and claims for volumes are not ours.
  for name in ("JobSetStatus", "ReplicatedJobStatus"):
    del own[prefix + name]
  del own[f"{prefix}JobSet"]["properties"]["status"]
  own[f"{prefix}JobSet"]["required"] = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
  ]
  return {
    "$ref": f"#/$defs/{prefix}JobSet",
    "$defs": own | kubernetes(references(own) - set(own)),
  }


def skypilot():
  """A task, its resources in their place."""
  from sky.utils import schemas

  task = bare(schemas.get_task_schema())
  task["properties"]["resources"] = bare(schemas.get_resources_schema())
  for schema in (task, task["properties"]["resources"]):
    schema.pop("$schema", None)
  return task


def main():
  for name, schema in (("jobset", jobset()), ("skypilot", skypilot())):
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
  main()
