"""What the workers of a run may ask for, where they see none of its folders."""

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import ReadingLog
from orchestrator.data.files.source_files import kinds_for
from orchestrator.evaluation.away import LOG
from orchestrator.experiment.sections import Data
from orchestrator.machine.home import Kind
from orchestrator.machine.shipping import Shipping


def shipping_of(data: Data, folder: RunFolder) -> Shipping:
    """For a run on these data: their files are read; below the run and the store, files are written, too."""
    written = (folder.whole, data.store or folder.stores)
    return Shipping(kinds_for(data.path, *written) | {LOG: Kind(ReadingLog, (str(folder.whole.absolute()),))})
