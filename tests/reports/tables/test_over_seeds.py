"""Tables of training over several seeds: mean and range by epoch, best AP by seed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pose.files import write_json
from reports import frames, reproduce
from reports.build import all_tables
from reports.frames.over_seeds import Spread, by_epoch
from reports.page import html, summary
from reports.plots import training as curves
from reports.run.missing import missing
from reports.run.read import Epoch, TrainingHistory, read
from reports.tables import over_seeds, training
from reports.tables.table import Table, to_csv, to_markdown

MakeRun = Callable[..., Path]


def history(*aps: float | None) -> TrainingHistory:
    return TrainingHistory(tuple(Epoch(number, ap=ap) for number, ap in enumerate(aps, 1)))


def test_an_epoch_is_spread_over_the_seeds_that_have_it() -> None:
    found = by_epoch([history(0.1, 0.3, 0.4), history(0.2, None), history(0.3, 0.5, 0.6)], "ap")
    assert found == {
        1: Spread(3, pytest.approx(0.2), 0.1, 0.3),  # type: ignore[arg-type]
        2: Spread(2, pytest.approx(0.4), 0.3, 0.5),  # type: ignore[arg-type]
        3: Spread(2, pytest.approx(0.5), 0.4, 0.6),  # type: ignore[arg-type]
    }
    assert by_epoch([history(None)], "ap") == by_epoch([], "ap") == {}


def seeded(path: Path, ahead: dict[int, float], epochs: int = 12) -> Path:
    """Give a run further seeds: each twin's own training again, its AP higher by `ahead`, of some epochs."""
    write_json(path / "run.json", json.loads((path / "run.json").read_text()) | {"seeds": 1 + len(ahead)})
    for seed, more in ahead.items():
        folder = path / "seeds" / str(seed)
        write_json(folder / "run.json", {"schema": 1})
        for twin in ("tf", "torch"):
            lines = [json.loads(x) for x in (path / "train" / twin / "epochs.jsonl").read_text().splitlines()]
            moved = [json.dumps(line | {"ap": line["ap"] + more}) for line in lines[:epochs]]
            (folder / "train" / twin).mkdir(parents=True)
            (folder / "train" / twin / "epochs.jsonl").write_text("".join(f"{line}\n" for line in moved))
            left = json.loads((path / "train" / twin / "summary.json").read_text())
            write_json(folder / "train" / twin / "summary.json", left)
    return path


def parsed(table: Table | None) -> list[dict[str, Any]]:
    assert table is not None
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def test_a_per_epoch_table_has_mean_and_range_beside_the_first_seeds_own_figures(make_run: MakeRun) -> None:
    path = make_run()
    alone = parsed(training.per_epoch(read(path)))
    found = parsed(training.per_epoch(read(seeded(path, {1: 0.03, 2: -0.06}))))
    assert len(found) == len(alone)
    for row, before in zip(found, alone, strict=True):
        assert row.items() >= before.items(), "what is reproduced is the first seed's"
        for twin in ("TensorFlow", "PyTorch"):
            ap = float(row[f"{twin} mAP"])
            assert float(row[f"{twin} mAP mean"]) == pytest.approx(ap - 0.01)
            assert float(row[f"{twin} mAP lowest"]) == pytest.approx(ap - 0.06)
            assert float(row[f"{twin} mAP highest"]) == pytest.approx(ap + 0.03)
            assert (row[f"{twin} mAP range"], row[f"{twin} mAP seeds"]) == (
                f"{ap - 0.06:.3f} to {ap + 0.03:.3f}",
                "3",
            )
    assert "over the seeds 0, 1, 2; the other columns are of seed 0" in training.per_epoch(read(path)).note


def test_an_epoch_that_some_seeds_have_not_reached_says_of_how_many_it_is(make_run: MakeRun) -> None:
    rows = parsed(training.per_epoch(read(seeded(make_run(), {1: 0.02}, epochs=5))))
    assert [row["PyTorch mAP seeds"] for row in rows] == ["2"] * 5 + ["1"] * 7


def test_a_run_of_one_seed_has_the_table_of_before(make_run: MakeRun) -> None:
    run = read(make_run())
    assert over_seeds.table(run) is None
    assert [column.key for column in training.per_epoch(run).columns] == [
        "Epoch", "TensorFlow mAP", "PyTorch mAP", "TensorFlow val loss", "PyTorch val loss",
    ]  # fmt: skip
    assert any("was trained once" in said for said in summary.sentences(run))


def test_the_best_aps_stand_by_seed_with_their_mean(make_run: MakeRun) -> None:
    run = read(seeded(make_run(), {1: 0.03, 2: -0.06}))
    rows = parsed(over_seeds.table(run))
    assert [row["seed"] for row in rows] == ["0", "1", "2", "mean of 3"]
    first, mean = rows[0], rows[-1]
    assert float(mean["AP_tf"]) == pytest.approx(float(first["AP_tf"]) - 0.01)
    assert float(mean["difference"]) == pytest.approx(float(first["AP_tf"]) - float(first["AP_torch"]))
    assert "seeds" in [table.name for table in all_tables(run)]
    [section] = [one for one in html.sections(run, all_tables(run), []) if one.key == "accuracy"]
    assert "Best AP by seed" in [item.title for item in section.items if isinstance(item, Table)]
    assert not any("was trained once" in said for said in summary.sentences(run))


def test_a_seed_that_has_not_ended_is_named_with_what_goes_on_with_it(make_run: MakeRun) -> None:
    path = seeded(make_run(), {1: 0.01, 2: 0.02})
    (path / "seeds" / "2" / "train" / "torch" / "summary.json").unlink()
    run = read(path)
    found = [(one.part, one.command) for one in missing(run) if one.part.startswith("seed")]
    assert found == [("seed 2 PyTorch training", "twinpose run --recipe demo --out runs/demo")]
    rows = parsed(over_seeds.table(run))
    assert [row["AP_torch"] for row in rows][2] == ""
    assert rows[-1]["seed"] == "mean of 2"
    assert "PyTorch: the training of seed 2 is unfinished" in to_markdown(over_seeds.table(run))  # type: ignore[arg-type]


def test_a_stored_table_is_reproduced_by_the_first_seed_and_names_the_others(make_run: MakeRun) -> None:
    """The stored table's own figures for the first seed, others for a further one."""
    path, table = make_run(), reproduce.find("demo")
    (path / table.file).parent.mkdir(parents=True)
    (path / table.file).write_text(to_csv(training.per_epoch(read(path))))
    alone = reproduce.compare_with_run(table, path)
    (path / table.file).write_text(to_csv(training.per_epoch(read(seeded(path, {1: 0.03})))))
    found = reproduce.compare_with_run(table, path)
    assert found.differences == alone.differences
    assert "each further one" not in alone.text()
    seed = path / "seeds" / "1"
    assert f"twinpose report {seed} && twinpose reproduce demo --run {seed}" in found.text()


def test_the_curves_have_a_band_from_the_lowest_seed_to_the_highest(make_run: MakeRun) -> None:
    path = make_run()
    alone = {plot.name: plot for plot in curves.training_curves(read(path))}
    assert not alone["training_ap"].figure.axes[0].collections
    found = {plot.name: plot for plot in curves.training_curves(read(seeded(path, {1: 0.03, 2: -0.06})))}
    bands = found["training_ap"].figure.axes[0].collections
    assert len(bands) == len(found["training_loss"].figure.axes[0].collections) == 2
    [inside] = [band.get_paths()[0].get_extents() for band in bands[:1]]
    aps = [line.ap for line in read(path).training["tf"].epochs if line.ap is not None]
    assert (inside.ymin, inside.ymax) == pytest.approx((min(aps) - 0.06, max(aps) + 0.03))
    assert "A band is the range over 3 seeds" in found["training_ap"].note
    assert "band" not in found["learning_rate"].note


def test_a_data_frame_of_epochs_has_a_row_for_each_seed(make_run: MakeRun) -> None:
    found = frames.epochs(read(seeded(make_run(), {1: 0.03})))
    means = found[found.epoch == 3].groupby(["twin", "seed"]).ap.mean()
    assert means["tf", 1] == pytest.approx(means["tf", 0] + 0.03)
    assert len(found) == 4 * 12
