"""The first stage of a run: what is not rendered yet is rendered, and the split is made or taken up."""

from dataclasses import replace

import numpy as np

from orchestrator.artifacts.places import where_they_lay
from orchestrator.data.files.image_files import MOST_BITS
from orchestrator.data.fill.render_tree import fill_with_line, skipped_lines
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.data.plotting.plot_style import style_row
from orchestrator.data.split.make_split import make_split
from orchestrator.data.split.split import Split
from orchestrator.data.store.store import Store
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.sections import Data
from orchestrator.stages.context import Context, Prepared
from orchestrator.stages.near_pictures import write_near_duplicates
from trainables.errors import InputError

MANY = 5_000
"""Pictures whose comparison takes more than some seconds."""


def prepare(context: Context, experiment: Experiment | None = None) -> Prepared:
    """The pictures at every size that a variant of the context's experiment sees, or of another one on its data."""
    experiment = experiment or context.experiment
    data = experiment.data
    root = data.store or context.folder.stores
    stores: dict[tuple[int, int], Store] = {}
    bits = data.bits
    divided = all(each.folder.split.exists() for each in context.of_splits())
    sizes = dict.fromkeys(experiment.size_of(variant) for variant in experiment.families)
    for size in sizes:
        filled = fill_with_line(
            context.reporter,
            context.engine,
            data.path,
            root / store_name(data, size),
            title="render" if len(sizes) == 1 else f"render {size[0]}x{size[1]}",
            layout=data.layout,
            style=data.style,
            size=size,
            column=data.column,
            gaps=data.gaps,
            decimal=data.decimal,
            bits=bits,
            resumed=context.folder.split.exists(),
            sights=not stores and not divided,
            strict=context.strict,
            shipping=context.shipping,
        )
        stores[size] = filled.store
        bits = filled.store.recipe.bits or MOST_BITS  # one for all sizes
        if len(stores) == 1:
            for line in skipped_lines(filled):
                context.reporter.say(line)
    first = next(iter(stores.values()))
    split = _split_of(context, first)
    # Of masks too, which may vanish at one size and not at another.
    of_stores = dict.fromkeys(remark for each in stores.values() for remark in each.remarks)
    own = tuple(dict.fromkeys((*of_stores, *split.remarks)))
    if context.goal.normal is not None:
        normals = int(np.sum(first.labels[split.validation] == first.classes.index(context.goal.normal)))
        own += tuple(context.goal.few_normals(normals))
    split = replace(split, remarks=(*context.settled.of_data, *where_they_lay(context.folder, data.path), *own))
    split.save(context.folder.split)
    for remark in own:
        if remark not in context.settled.remarks:
            context.reporter.say(remark)
    return Prepared(stores, split, context.goal.normal)


def store_name(data: Data, size: tuple[int, int]) -> str:
    """What the folder of a store is called."""
    name = f"{style_row(data.style).folder if LAYOUTS[data.layout].plots else data.layout}-{size[0]}x{size[1]}"
    return name if data.bits is None else f"{name}-{data.bits}bits"


def prepare_splits(context: Context, first: Prepared) -> list[tuple[Context, Prepared]]:
    """Each of the run's splits on the pictures of the first, all divided before anything is trained on one."""
    own, *others = context.of_splits()
    found = [(own, first)]
    for each in others:
        split = _split_of(each, next(iter(first.stores.values())))
        of_data = [remark for remark in first.split.remarks if remark not in (first.split.said or ())]
        split = replace(split, remarks=tuple(dict.fromkeys((*of_data, *split.remarks))))
        split.save(each.folder.split)
        found.append((each, replace(first, split=split)))
    if others:
        settings = context.experiment.data.split
        how = f"{settings.folds} folds" + (f", {settings.repeats} times" if settings.repeats > 1 else "")
        searches = "each with its own search"
        if context.experiment.budget.searches == "first":
            searches = "all with the winners of the first one's search"
        context.reporter.say(
            f"{len(found)} splits{f' ({how})' if settings.folds else ''}, {searches}. What is said of the division is "
            "of the first one."
        )
    return found


def _split_of(context: Context, store: Store) -> Split:
    """The split that the run was begun with, else a new one."""
    return _split_of_before(context, store) if context.folder.split.exists() else _new_split(context, store)


def _new_split(context: Context, store: Store) -> Split:
    """The split of a run that has none yet, with the near-duplicates that it puts apart written out to be shown."""
    count = len(store.paths)
    if count > MANY:
        context.reporter.say(f"Comparing {count} pictures with one another, to find near-duplicates …")
    split = make_split(store, context.experiment.data.split, context.goal.normal)
    write_near_duplicates(context.folder.near_duplicates, split, store)
    return split


def _split_of_before(context: Context, store: Store) -> Split:
    """The split that the run was begun with; InputError where its data are others now."""
    split = Split.load(context.folder.split)
    same = split.data == store.fingerprint
    if same and split.said is not None:
        return replace(split, remarks=split.said)
    if same:
        # An older release made it, by the files' bytes alone, and it stays what it was.
        by_bytes = replace(store, sights=(), views=None)
        made = make_split(by_bytes, context.experiment.data.split, context.goal.normal)
        if made.fingerprint == split.fingerprint:
            return replace(made, said=None)
    raise InputError(
        f"The data in {context.experiment.data.path} are not those that {context.folder.root} was started with: files "
        "were added, removed or changed. Put them back, or give another --out."
    )
