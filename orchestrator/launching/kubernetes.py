"""Kubernetes: a RayJob of KubeRay, the image that it runs, and what it was started as."""

import re
import secrets
import shlex
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from orchestrator.launching.kubernetes_image import write_image
from orchestrator.launching.kubernetes_job import MISSING, log, refuse_running, status, stop
from orchestrator.launching.kubernetes_manifest import DRIVER_CPUS, THERE, config_map, manifest, ray_job
from orchestrator.launching.kubernetes_pods import Pods
from orchestrator.launching.launched import Launched, claimed_folder, new_folder
from orchestrator.launching.programs import said_by
from orchestrator.launching.shipped import EXPERIMENT, write_shipped
from orchestrator.launching.template import filled
from orchestrator.launching.work import Work
from trainables.errors import InputError
from trainables.files import write_whole

__all__ = ["launch_kubernetes", "log", "status", "stop"]
MANIFEST, IMAGE, READ_ME = "rayjob.yaml", "image", "README.md"
LONGEST_NAME = 40
"""Letters of a RayJob's name: KubeRay makes longer ones of it, of 63 at the most."""


def launch_kubernetes(
    experiment: str | Path,
    out: str,
    *,
    image: str,
    workers: int = 1,
    cpus: int = 1,
    memory: str = "8Gi",
    gpus: int = 0,
    most_workers: int | None = None,
    namespace: str = "default",
    volume: str | None = None,
    retries: int = 3,
    nothing_kept: bool = False,
    overrides: tuple[str, ...] = (),
    ablate: bool = False,
    files: str | Path | None = None,
    dry_run: bool = False,
) -> Launched:
    """Write a RayJob for a sweep (or, with `ablate`, an ablation) and its image's Dockerfile; apply it, or `dry_run`.

    `out` and the data's path are as the pods see them; `volume`: CLAIM:/path, a claim that all of them mount. The image
    must have been built and pushed. InputError for what can't be launched, and where no result could leave the cluster.
    """
    work = Work(Path(experiment), str(out), tuple(overrides), ablate)
    settled = work.load()
    claim, mount = _volume(volume)
    most = workers if most_workers is None else most_workers
    retried = retries if claim else 0
    pods = Pods(image, workers, most, cpus, gpus, memory, namespace, claim, mount, retried)
    pods.check()
    _check_way_out(work.out, mount, settled.mirror, nothing_kept)
    folder = new_folder(files, work.out, "kubernetes")
    refuse_running(claimed_folder(folder, "kubernetes", work.out))
    shipped = write_shipped(work, folder)
    name = f"{_slug(work.out)}-{secrets.token_hex(2)}"  # its own: a finished RayJob that is applied again does nothing
    command = replace(work, overrides=()).command(f"{THERE}/{EXPERIMENT}", "python -P -m orchestrator.cli")
    texts = _texts(shipped.folder)
    texts["run.sh"] = filled("run.sh.j2", command=command)
    objects = [config_map(name, namespace, texts), ray_job(name, pods, list(texts))]
    missing = write_image(folder / IMAGE)
    write_whole(
        folder / MANIFEST,
        f"# Written by `orchestrate launch kubernetes`. No token is in it: KubeRay makes one.\n{manifest(*objects)}",
        wait=False,
    )
    told = filled(
        "kubernetes.md.j2", job=name, pods=pods, folder=folder, out=work.out, missing=missing, head=DRIVER_CPUS,
        image_folder=folder / IMAGE, manifest=folder / MANIFEST, mirror=settled.mirror,
    )  # fmt: skip
    write_whole(folder / READ_ME, told, wait=False)
    launched = Launched(folder, "kubernetes", work.out, where={"namespace": namespace})
    launched.keep()
    print(f"What goes along: {shipped.told}.")
    if not claim:
        print("There is no volume: what is not mirrored is lost with the pods, and a run that fails is not retried.")
    if dry_run:
        print(f"Nothing was started. {folder / READ_ME} says how.")
        return launched
    return _apply(launched, name)


def _texts(folder: Path) -> dict[str, str]:
    """The files that go along, by where they lie in the folder; InputError for what no ConfigMap holds as text."""
    texts = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        try:
            texts[path.relative_to(folder).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InputError(
                f"{path.name} is not UTF-8, which a file that goes along must be. Save it as UTF-8."
            ) from None
    return texts


def _volume(volume: str | None) -> tuple[str, str]:
    """The claim and where it is mounted; both empty where there is none."""
    if volume is None:
        return "", ""
    claim, _, mount = volume.partition(":")
    path = PurePosixPath(mount)
    if not claim or not path.is_absolute() or path == PurePosixPath("/") or ".." in path.parts or ":" in mount:
        raise InputError(f"--volume is {volume!r}; it must be CLAIM:/path, a claim and where the pods mount it.")
    if not mount.isprintable() or path.is_relative_to(THERE):
        raise InputError(f"--volume is mounted at {mount!r}, which is no path for it. Give another, such as /shared.")
    return claim, str(path)


def _check_way_out(out: str, mount: str, mirror: str | None, nothing_kept: bool) -> None:
    """InputError where no result would outlive the pods."""
    path = PurePosixPath(out)
    if not out.isprintable():
        raise InputError(f"--out is {out!r}; a path of a run there must be printable.")
    kept = bool(mount) and path.is_relative_to(mount) and ".." not in path.parts
    outside = mirror is not None and urlsplit(mirror).scheme not in ("", "file")
    if kept or outside or nothing_kept:
        return
    where = f"--out {out} does not lie under {mount}, where the volume is mounted" if mount else "there is no --volume"
    raise InputError(
        f"Nothing of the run would be left once its pods are gone: {where}, and the experiment's `mirror` leads "
        "nowhere else. Give --volume CLAIM:/path with --out below that path, or --set mirror=s3://…; --nothing-kept "
        "runs all the same."
    )


def _slug(out: str) -> str:
    """A name that Kubernetes takes, made of RUN's."""
    letters = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(out).name.lower()).strip("-")
    return (re.sub(r"^[^a-z]+", "", letters)[: LONGEST_NAME - 5] or "run").rstrip("-")


def _apply(launched: Launched, name: str) -> Launched:
    """Have the cluster that kubectl is set to take the manifest."""
    context = said_by(["kubectl", "config", "current-context"], MISSING).strip()
    where = {**launched.where, "context": context}
    chosen = [f"--context={context}", f"--namespace={where['namespace']}"]
    said_by(["kubectl", "apply", "-f", str(launched.folder / MANIFEST), *chosen], MISSING)
    started = replace(launched, job=name, where=where)
    started.keep()
    print(f"Applied as RayJob {name} in {where['namespace']} of {shlex.quote(context)}.", flush=True)
    return started
