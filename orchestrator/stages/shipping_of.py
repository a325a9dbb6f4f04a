"""What the workers of a run may ask for, where they see none of its folders."""

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import ReadingLog
from orchestrator.data.files.source_files import SOURCES, SourceFolder
from orchestrator.evaluation.away import LOG
from orchestrator.experiment.sections import Data
from orchestrator.machine.home import Kind
from orchestrator.machine.shipping import FILES, Shipping
from trainables.small_files import FolderFiles


def shipping_of(data: Data, folder: RunFolder) -> Shipping:
    """For a run on these data: their files are read; below the run and the store, files are written, too."""
    run, store = (str(path.absolute()) for path in (folder.whole, data.store or folder.stores))
    return Shipping(
        {
            SOURCES: Kind(SourceFolder, (str(data.path.absolute()),)),
            FILES: Kind(FolderFiles, (run, store)),
            LOG: Kind(ReadingLog, (run,)),
        }
    )
