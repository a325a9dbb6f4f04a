"""Compares families of anomaly models fairly: renders, searches, evaluates, reports.

from orchestrator import Experiment, load_model, open_run, run
run(Experiment.load("experiment.yaml"), "runs/first")
load_model(open_run("runs/first").model("pca", 0)).predict(["new.png"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.artifacts.cost_plan import CostPlan
    from orchestrator.artifacts.events import EpochEnded, RecordWritten, RunBegan, RunEnded, StageBegan, StageEnded
    from orchestrator.artifacts.records import TrialRecord, read_records
    from orchestrator.artifacts.run_folder import RunFolder
    from orchestrator.comparing.compared import Compared, compare_runs, leaderboard
    from orchestrator.data.fill.render_tree import Rendered, render
    from orchestrator.data.inspect.inspection import Inspection, inspect
    from orchestrator.data.store.store import Store, open_store
    from orchestrator.experiment.experiment import Experiment, schema
    from orchestrator.experiment.lists import list_families, list_metrics
    from orchestrator.experiment.starter import write_starter
    from orchestrator.launching.kubernetes import launch_kubernetes
    from orchestrator.launching.launched import JobStatus, Launched
    from orchestrator.launching.ray_job import launch_ray
    from orchestrator.launching.slurm import launch_slurm
    from orchestrator.launching.ssh import launch_ssh
    from orchestrator.launching.targets import launch_log, launch_status, launch_stop
    from orchestrator.machine.doctor import doctor
    from orchestrator.machine.progress import Reporter
    from orchestrator.machine.shared_cache import cached, clean_cache
    from orchestrator.planning.plan import plan
    from orchestrator.running.claim import open_run
    from orchestrator.running.demo import demo
    from orchestrator.running.refit import refit
    from orchestrator.running.refit_model import Refitted
    from orchestrator.running.results import results
    from orchestrator.running.run import ablate, evaluate, run, write_report
    from orchestrator.running.status import status
    from orchestrator.tracking.dashboard import dashboard
    from orchestrator.tracking.track import track
    from orchestrator.using.export.exporting import Exported, export_model
    from orchestrator.using.live.stream import Streamed, stream
    from orchestrator.using.live.watch import Watched, watch
    from orchestrator.using.loaded_model import LoadedModel, load_model
    from orchestrator.using.predict import Predicted, best_model, predict
    from trainables.errors import InputError

_HOMES = {
    "Compared": "orchestrator.comparing.compared",
    "CostPlan": "orchestrator.artifacts.cost_plan",
    "EpochEnded": "orchestrator.artifacts.events",
    "Experiment": "orchestrator.experiment.experiment",
    "Exported": "orchestrator.using.export.exporting",
    "InputError": "trainables.errors",
    "Inspection": "orchestrator.data.inspect.inspection",
    "JobStatus": "orchestrator.launching.launched",
    "Launched": "orchestrator.launching.launched",
    "LoadedModel": "orchestrator.using.loaded_model",
    "Predicted": "orchestrator.using.predict",
    "RecordWritten": "orchestrator.artifacts.events",
    "Refitted": "orchestrator.running.refit_model",
    "Rendered": "orchestrator.data.fill.render_tree",
    "Reporter": "orchestrator.machine.progress",
    "RunBegan": "orchestrator.artifacts.events",
    "RunEnded": "orchestrator.artifacts.events",
    "RunFolder": "orchestrator.artifacts.run_folder",
    "StageBegan": "orchestrator.artifacts.events",
    "StageEnded": "orchestrator.artifacts.events",
    "Store": "orchestrator.data.store.store",
    "Streamed": "orchestrator.using.live.stream",
    "TrialRecord": "orchestrator.artifacts.records",
    "Watched": "orchestrator.using.live.watch",
    "ablate": "orchestrator.running.run",
    "best_model": "orchestrator.using.predict",
    "cached": "orchestrator.machine.shared_cache",
    "clean_cache": "orchestrator.machine.shared_cache",
    "compare_runs": "orchestrator.comparing.compared",
    "dashboard": "orchestrator.tracking.dashboard",
    "demo": "orchestrator.running.demo",
    "doctor": "orchestrator.machine.doctor",
    "evaluate": "orchestrator.running.run",
    "export_model": "orchestrator.using.export.exporting",
    "inspect": "orchestrator.data.inspect.inspection",
    "launch_kubernetes": "orchestrator.launching.kubernetes",
    "launch_log": "orchestrator.launching.targets",
    "launch_ray": "orchestrator.launching.ray_job",
    "launch_slurm": "orchestrator.launching.slurm",
    "launch_ssh": "orchestrator.launching.ssh",
    "launch_status": "orchestrator.launching.targets",
    "launch_stop": "orchestrator.launching.targets",
    "leaderboard": "orchestrator.comparing.compared",
    "list_families": "orchestrator.experiment.lists",
    "list_metrics": "orchestrator.experiment.lists",
    "load_model": "orchestrator.using.loaded_model",
    "open_run": "orchestrator.running.claim",
    "open_store": "orchestrator.data.store.store",
    "plan": "orchestrator.planning.plan",
    "predict": "orchestrator.using.predict",
    "read_records": "orchestrator.artifacts.records",
    "refit": "orchestrator.running.refit",
    "render": "orchestrator.data.fill.render_tree",
    "results": "orchestrator.running.results",
    "run": "orchestrator.running.run",
    "schema": "orchestrator.experiment.experiment",
    "status": "orchestrator.running.status",
    "stream": "orchestrator.using.live.stream",
    "track": "orchestrator.tracking.track",
    "watch": "orchestrator.using.live.watch",
    "write_report": "orchestrator.running.run",
    "write_starter": "orchestrator.experiment.starter",
}
__all__ = [
    "Compared",
    "CostPlan",
    "EpochEnded",
    "Experiment",
    "Exported",
    "InputError",
    "Inspection",
    "JobStatus",
    "Launched",
    "LoadedModel",
    "Predicted",
    "RecordWritten",
    "Refitted",
    "Rendered",
    "Reporter",
    "RunBegan",
    "RunEnded",
    "RunFolder",
    "StageBegan",
    "StageEnded",
    "Store",
    "Streamed",
    "TrialRecord",
    "Watched",
    "ablate",
    "best_model",
    "cached",
    "clean_cache",
    "compare_runs",
    "dashboard",
    "demo",
    "doctor",
    "evaluate",
    "export_model",
    "inspect",
    "launch_kubernetes",
    "launch_log",
    "launch_ray",
    "launch_slurm",
    "launch_ssh",
    "launch_status",
    "launch_stop",
    "leaderboard",
    "list_families",
    "list_metrics",
    "load_model",
    "open_run",
    "open_store",
    "plan",
    "predict",
    "read_records",
    "refit",
    "render",
    "results",
    "run",
    "schema",
    "status",
    "stream",
    "track",
    "watch",
    "write_report",
    "write_starter",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: torch and Ray cost seconds that `--help` should not."""
    if name not in _HOMES:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)
