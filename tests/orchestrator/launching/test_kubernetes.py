"""What is written for Kubernetes, held against its schema and KubeRay's fields; what is refused; what kubectl is asked.
No cluster is here: kubectl is a small program that notes its words."""

import gzip
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement

from orchestrator.launching.kubernetes import launch_kubernetes
from orchestrator.launching.kubernetes_image import pinned, write_image
from orchestrator.launching.kubernetes_pods import bytes_of
from orchestrator.launching.launched import launched_at
from orchestrator.launching.targets import launch_log, launch_status, launch_stop
from orchestrator.machine.shipped_modules import package_folders
from trainables.errors import InputError

FIXTURES = Path(__file__).parents[2] / "fixtures"
VOLUME: dict[str, Any] = {"image": "registry/runs:1", "volume": "claim:/shared"}


def fields(**properties: Any) -> dict[str, Any]:
    """An object that has these fields and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


WHOLE, TEXT, TRUTH = {"type": "integer", "minimum": 0}, {"type": "string"}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
POD = {"$ref": "#/$defs/io.k8s.api.core.v1.PodTemplateSpec"}
RAY_JOB = fields(
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata={"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
    spec=fields(
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        backoffLimit=WHOLE,
        shutdownAfterJobFinishes=TRUTH,
        ttlSecondsAfterFinished=WHOLE,
        rayClusterSpec=fields(
            rayVersion=TEXT,
            authOptions=fields(mode={"enum": ["disabled", "token"]}),
            enableInTreeAutoscaling=TRUTH,
            autoscalerOptions=fields(idleTimeoutSeconds=WHOLE),
            headGroupSpec=fields(rayStartParams=TEXTS, template=POD) | {"required": ["template"]},
            workerGroupSpecs={
                "type": "array",
                "items": fields(
                    groupName=TEXT,
                    replicas=WHOLE,
                    minReplicas=WHOLE,
                    maxReplicas=WHOLE,
                    rayStartParams=TEXTS,
                    template=POD,
                )
                | {"required": ["groupName", "template", "minReplicas", "maxReplicas"]},
            },
        ),
    ),
)
"""The fields of KubeRay's RayJob that are used here, written down from its reference (1.7): its own CRD is not at hand.
The pods in it are held against the schema of Kubernetes itself."""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "e.yaml"
    path.write_text(yaml.safe_dump({"data": {"path": "/shared/csvs"}, "families": ["pca_logistic"]}), encoding="utf-8")
    return path


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Put a kubectl in place that answers `get rayjob` with a status: a call -> the words of its calls so far."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    called, answer = folder / "called", folder / "answer"
    (folder / "kubectl").write_text(
        f"#!{sys.executable}\nimport pathlib, sys\nwords = sys.argv[1:]\n"
        f"with open({str(called)!r}, 'a') as file:\n    file.write(' '.join(words) + '\\n')\n"
        "if words[0] == 'config':\n    print('my cluster')\n"
        f"elif 'rayjob' in words and 'get' in words:\n    text = pathlib.Path({str(answer)!r}).read_text()\n"
        "    print(text, file=sys.stderr if 'Error' in text else sys.stdout)\n    sys.exit('Error' in text)\n"
        "elif 'pods' in words:\n    print('the-head-pod')\n"
        "elif 'logs' in words:\n    print('what the run said')\n"
        "elif 'apply' in words and 'refused' in words[2]:\n"
        '    sys.exit(\'error: no matches for kind "RayJob" in version "ray.io/v1"\')\n'
    )
    (folder / "kubectl").chmod(0o755)

    def answers(told: Any = None) -> list[str]:
        if told is not None:
            answer.write_text(told if isinstance(told, str) else json.dumps({"status": told}))
        return called.read_text().splitlines() if called.exists() else []

    answers({})
    return answers


def written(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ConfigMap and the RayJob of a manifest, each as its schema has it."""
    files, job = yaml.safe_load_all((folder / "rayjob.yaml").read_text(encoding="utf-8"))
    definitions = json.loads(gzip.decompress((FIXTURES / "kubernetes_pods.json.gz").read_bytes()))["$defs"]
    for value, schema in ((files, {"$ref": "#/$defs/io.k8s.api.core.v1.ConfigMap"}), (job, RAY_JOB)):
        jsonschema.validate(value, {**schema, "$defs": definitions}, jsonschema.Draft7Validator)
    return files, job


def test_the_schema_finds_what_is_wrong(experiment: Path, tmp_path: Path) -> None:
    launch_kubernetes(experiment, "/shared/run", files=tmp_path / "f", dry_run=True, **VOLUME)
    path = tmp_path / "f/rayjob.yaml"
    right = path.read_text(encoding="utf-8")
    for was, now in (("mountPath", "mountpath"), ("backoffLimit: 3", "backoffLimit: three"), ("medium", "media")):
        assert was in right
        path.write_text(right.replace(was, now), encoding="utf-8")
        with pytest.raises(jsonschema.ValidationError):
            written(tmp_path / "f")


def test_the_manifest_is_one_that_kubernetes_takes(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orchestrate: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = orchestrate(
        "launch", "kubernetes", experiment, "--out", "/shared/First Run", "--image", "registry/runs:1", "--workers", 2,
        "--most-workers", 5, "--cpus", 4, "--gpus", 1, "--memory", "16Gi", "--namespace", "ml",
        "--volume", "claim:/shared", "--set", "budget.trials=3", "--dry-run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    folder = tmp_path / "First Run.kubernetes"
    assert str(folder / "README.md") in ended.out
    files, job = written(folder)
    name = job["metadata"]["name"]
    assert files["metadata"] == job["metadata"] == {"name": name, "namespace": "ml"}
    assert name.startswith("first-run-")
    (script,) = (text for key, text in files["data"].items() if key.endswith("run.sh"))
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    words = shlex.split(script.splitlines()[-1])
    assert words[-5:] == ["sweep", "/opt/run/experiment.yaml", "--out", "/shared/First Run", "--resume"]
    (told,) = (text for key, text in files["data"].items() if key.endswith("experiment.yaml"))
    assert yaml.safe_load(told)["budget"] == {"trials": 3}
    spec = job["spec"]
    assert (spec["backoffLimit"], spec["shutdownAfterJobFinishes"]) == (3, True)
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["rayVersion"] == version("ray")
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (group,) = cluster["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (2, 2, 5)
    assert cluster["enableInTreeAutoscaling"]
    (worker,) = group["template"]["spec"]["containers"]
    assert worker["resources"]["requests"] == worker["resources"]["limits"]
    assert worker["resources"]["limits"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
    for part in (cluster["headGroupSpec"], group):
        pod = part["template"]["spec"]
        (container,) = pod["containers"]
        assert {"name": "RAY_AUTH_MODE", "value": "token"} in container["env"]
        assert pod["securityContext"]["runAsNonRoot"]
        mounted = {one["mountPath"]: one.get("subPath") for one in container["volumeMounts"]}
        assert set(mounted) == {"/dev/shm", "/shared", "/opt/run/experiment.yaml", "/opt/run/run.sh"}
        assert {mounted["/opt/run/experiment.yaml"], mounted["/opt/run/run.sh"]} == set(files["data"])
    assert "TOKEN" not in (folder / "rayjob.yaml").read_text(encoding="utf-8")
    assert launched_at(folder).job == ""


def test_the_image_has_what_is_installed_here(tmp_path: Path) -> None:
    missing = write_image(tmp_path / "image")
    pins = dict(line.split("==") for line in (tmp_path / "image/constraints.txt").read_text().splitlines())
    assert pins["ray"] == version("ray")
    assert pins["torch"] == version("torch").partition("+")[0]
    assert {"numpy", "pydantic-core", "msgpack", "sympy"} <= set(pins), "what packages need is pinned too"
    assert not set(pins) & set(missing)
    wanted = (tmp_path / "image/requirements.txt").read_text().splitlines()
    assert "ray[default]" in wanted
    assert {Requirement(line).name for line in wanted} <= {*pins, *missing}
    for folder in map(Path, package_folders()):
        copied = {path.relative_to(tmp_path / "image/packages") for path in (tmp_path / "image/packages").rglob("*.py")}
        assert {path.relative_to(folder.parent) for path in folder.rglob("*.py")} <= copied
    code = "from importlib.metadata import version; import orchestrator; print(version('anomaly-orchestrator'))"
    place = str(tmp_path / "image/packages")
    found = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {place!r}); {code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == version("anomaly-orchestrator")
    docker = (tmp_path / "image/Dockerfile").read_text()
    assert f"FROM python:{sys.version_info.major}.{sys.version_info.minor}-slim\n" in docker
    assert "\nUSER 1000\n" in docker


def test_what_is_not_installed_is_named() -> None:
    pins, missing = pinned([Requirement("no-such-package-anywhere>=1"), Requirement("numpy")])
    assert missing == ["no-such-package-anywhere"]
    assert pins["numpy"] == version("numpy")


def test_code_of_one_s_own_goes_along(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    values = {"data": {"path": "/shared/csvs"}, "families": ["pca_logistic", {"family": "mine.py:FAMILY"}]}
    source = Path(__file__).parents[3] / "examples/own_parts.py"
    (tmp_path / "mine.py").write_bytes(source.read_bytes())
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    launch_kubernetes(path, "/shared/run", files=tmp_path / "f", dry_run=True, **VOLUME)
    files, job = written(tmp_path / "f")
    mounts = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    (key,) = (one["subPath"] for one in mounts if one["mountPath"] == "/opt/run/own_code/mine.py")
    assert files["data"][key] == source.read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_bytes(source.read_bytes() + b"#" * 1_000_000)
    with pytest.raises(InputError, match=r"a ConfigMap holds 1,000,000; the largest is own_code/mine\.py"):
        launch_kubernetes(path, "/shared/run", files=tmp_path / "f", dry_run=True, **VOLUME)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"volume": None}, r"Nothing of the run would be left .*there is no --volume.*--nothing-kept"),
        ({"volume": "claim:/other"}, r"--out /shared/run does not lie under /other"),
        ({"volume": "claim:/shared/run/../x"}, r"CLAIM:/path"),
        ({"volume": "claim"}, r"CLAIM:/path"),
        ({"volume": "Claim_1:/shared"}, r"--volume names 'Claim_1'"),
        ({"volume": None, "overrides": ("mirror=file:///tmp/copy",)}, r"mirror` leads nowhere else"),
        ({"workers": 0}, r"--workers is 0"),
        ({"most_workers": 1, "workers": 2}, r"--most-workers is 1; it must be 2 or more"),
        ({"gpus": -1}, r"--gpus is -1"),
        ({"memory": "16 GB"}, r"--memory is '16 GB'; write it as Kubernetes does"),
        ({"memory": "512Mi"}, r"1Gi or more"),
        ({"namespace": "My NS"}, r"--namespace names 'My NS'"),
        ({"image": "-rm"}, r"--image is '-rm'"),
        ({"image": "a\nb"}, r"--image is"),
        ({"overrides": ("data.path=csvs",)}, r"data\.path is 'csvs'.*whole path"),
    ],
)
def test_what_can_t_be_launched_is_told_before_anything_is_written(
    experiment: Path, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        launch_kubernetes(experiment, "/shared/run", files=tmp_path / "f", dry_run=True, **{**VOLUME, **options})
    assert not (tmp_path / "f/rayjob.yaml").exists()


@pytest.mark.parametrize("options", [{"nothing_kept": True}, {"overrides": ("mirror=s3://bucket/run",)}])
def test_without_a_volume_it_is_said_what_is_lost(
    experiment: Path, tmp_path: Path, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    launch_kubernetes(experiment, "/tmp/run", image="i", files=tmp_path / "f", dry_run=True, **options)
    assert "what is not mirrored is lost" in capsys.readouterr().out
    job = written(tmp_path / "f")[1]
    assert job["spec"]["backoffLimit"] == 0


@pytest.mark.parametrize("out", ["/shared/it's `id`", '/shared/$HOME a"b\\c', "/shared/-rf ü: #x"])
def test_odd_names_stay_what_they_are(experiment: Path, tmp_path: Path, out: str) -> None:
    launch_kubernetes(experiment, out, files=tmp_path / "it's $f", dry_run=True, **VOLUME)
    files, job = written(tmp_path / "it's $f")
    (script,) = (text for key, text in files["data"].items() if key.endswith("run.sh"))
    assert shlex.split(script.splitlines()[-1])[-3:] == ["--out", out, "--resume"]
    assert job["metadata"]["name"].strip("abcdefghijklmnopqrstuvwxyz0123456789-") == ""
    commands = (tmp_path / "it's $f/README.md").read_text(encoding="utf-8").split("```")[1].removeprefix("bash\n")
    assert shlex.split(commands.splitlines()[0])[-1] == str(tmp_path / "it's $f/image")


def test_amounts_are_read_as_kubernetes_reads_them() -> None:
    assert [bytes_of(one) for one in ("16Gi", "500M", "2Ti", "7")] == [16 * 2**30, 5 * 10**8, 2 * 2**40, 7]


def test_kuberay_s_states_are_understood(
    experiment: Path, tmp_path: Path, kubectl: Callable[..., list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = launch_kubernetes(experiment, "/shared/run", files=tmp_path / "f", **VOLUME).folder
    chosen = "--context=my cluster --namespace=default"
    assert kubectl() == ["config current-context", f"apply -f {folder}/rayjob.yaml {chosen}"]
    job = launched_at(folder).job
    assert job == written(folder)[1]["metadata"]["name"]
    cases: list[tuple[dict[str, str], str, int]] = [
        ({}, "waiting", 0),
        ({"jobDeploymentStatus": "Initializing"}, "waiting", 0),
        ({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}, "running", 0),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, "succeeded", 0),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, "stopped", 143),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed"}, "failed", 1),
        ({"jobDeploymentStatus": "Suspended"}, "stopped", 143),
    ]
    for told, state, code in cases:
        kubectl(told)
        assert launch_status(folder).state == state
        assert kubectl()[-1] == f"{chosen} get rayjob {job} --output=json"
        assert launch_log(folder) == code
        assert "what the run said" in capfd.readouterr().out
        assert kubectl()[-2] == f"{chosen} logs --tail=-1 job/{job}"
    kubectl({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"})
    assert launch_log(folder, follow=True) == 1
    assert kubectl()[-2] == f"{chosen} logs --follow job/{job}"


def test_a_stop_is_sent_to_the_run_in_the_head_s_pod(
    experiment: Path, tmp_path: Path, kubectl: Callable[..., list[str]]
) -> None:
    folder = launch_kubernetes(experiment, "/shared/run", files=tmp_path / "f", **VOLUME).folder
    assert "is suspended" in launch_stop(folder)
    assert kubectl()[-1].endswith('--type=merge --patch {"spec": {"suspend": true}}')
    kubectl({"jobDeploymentStatus": "Running", "jobId": "job-7", "rayClusterName": "run-x"})
    assert "asked to stop" in launch_stop(folder)
    assert "--selector=ray.io/cluster=run-x,ray.io/node-type=head" in kubectl()[-2]
    assert kubectl()[-1].endswith(
        "exec the-head-pod --container=ray-head -- ray job stop --no-wait --address http://127.0.0.1:8265 job-7"
    )
    with pytest.raises(InputError, match=r"works on /shared/run already: Running"):
        launch_kubernetes(experiment, "/shared/run", files=tmp_path / "f", **VOLUME)
    kubectl({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"})
    assert "not at work" in launch_stop(folder)
    kubectl('Error from server (NotFound): rayjobs.ray.io "run" not found')
    assert launch_status(folder).state == "unknown"
    kubectl("Error: Unable to connect to the server")
    with pytest.raises(InputError, match="does not answer: Error: Unable to connect"):
        launch_status(folder)


def test_a_refusal_is_told_in_kubectl_s_words(
    experiment: Path, tmp_path: Path, kubectl: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"refuses: error: no matches for kind"):
        launch_kubernetes(experiment, "/shared/run", files=tmp_path / "refused", **VOLUME)
    assert launched_at(tmp_path / "refused").job == ""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"There is no program kubectl here\. .*--dry-run"):
        launch_kubernetes(experiment, "/shared/run", files=tmp_path / "f", **VOLUME)
