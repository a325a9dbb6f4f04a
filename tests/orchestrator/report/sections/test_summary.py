"""The first line claims a first place only where the run shows one."""

from collections.abc import Callable

from orchestrator.artifacts.records import append_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.measured import standings
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.sections.summary import found, notices

MakeRun = Callable[..., RunFolder]


def first_line(run: RunFolder) -> str:
    data = read_run(run)
    return found(data, standings(data))[0]


def test_significantly_better_comes_first(make_run: MakeRun) -> None:
    assert first_line(make_run(search=0)).startswith("resnet18 comes first with a mean macro F1 of 0.")


def test_the_baseline_comes_first_by_itself(make_run: MakeRun) -> None:
    assert first_line(make_run(search=0, baseline="resnet18")).startswith("resnet18 comes first")


def test_the_highest_mean_alone_is_no_first_place(make_run: MakeRun) -> None:
    even = make_run("even", search=0, seeds=(0, 1), variants={"pca_logistic": 0.50, "resnet18": 0.6})
    line = first_line(even)
    assert line.startswith("The highest mean macro F1 is that of ")
    assert line.endswith("; not significantly above the baseline pca_logistic.")
    one = make_run("one", search=0, seeds=(0,))
    assert first_line(one).endswith("over 1 seed; not tested against the baseline pca_logistic.")
    loss = make_run(
        "loss", search=0, seeds=(0, 1), variants={"pca_logistic": 0.50, "resnet18": 0.6},
        objective={"metric": "log_loss", "mode": "min"},
    )  # fmt: skip
    assert first_line(loss).startswith("The lowest mean log loss is that of ")
    assert "not significantly below" in first_line(loss)


def test_without_another_there_is_no_first(make_run: MakeRun) -> None:
    line = first_line(make_run(search=0, variants={"resnet18": 0.9}))
    assert line.startswith("resnet18 has a mean macro F1 of 0.")
    assert line.endswith("it is the only variant that was evaluated.")


def test_without_a_baseline_nothing_is_claimed(make_run: MakeRun) -> None:
    line = first_line(make_run(search=0, variants={"resnet18": 0.9, "efficientnet_b0": 0.5}, baseline=None))
    assert line.endswith("without a baseline to compare with, no difference is shown.")


def test_of_many_variants_the_rest_is_counted(make_run: MakeRun) -> None:
    variants = {"pca_logistic": 0.9, **{f"resnet{place}": 0.1 + 0.01 * place for place in range(9)}}
    run = make_run(variants=variants, search=0, seeds=(0, 1), scores=False)
    data = read_run(run)
    lines = found(data, standings(data))
    assert sum("pca_logistic" in line and "resnet" in line for line in lines) == 6
    assert any(line.startswith("Of the 3 others, ") and line.endswith(": see the table.") for line in lines)


def test_where_precisions_differ_the_reader_is_told(make_run: MakeRun) -> None:
    run = make_run(search=0, seeds=(0, 1), variants={"pca_logistic": 0.5, "resnet18": 0.6, "resnet34": 0.7})

    def told() -> list[str]:
        data = read_run(run)
        return [line for line in notices(data, standings(data)) if "computed in" in line]

    assert told() == []
    records = list(read_records(run.records))
    run.records.unlink()
    for record in records:
        facts = {} if record.variant == "pca_logistic" else {"precision": "bfloat16, the rest TF32"}
        append_record(run.records, record.model_copy(update={"facts": facts}))
    assert told() == [
        "Not all was computed in the same precision: resnet18 and resnet34 in bfloat16, the rest TF32; pca_logistic in "
        "float32 or more. A small lead may come from that."
    ]
    run.records.unlink()
    for record in records:
        append_record(run.records, record.model_copy(update={"facts": {"precision": "bfloat16, the rest TF32"}}))
    assert told() == ["All was computed in bfloat16, the rest TF32."]
