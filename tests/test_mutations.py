"""The mutation check: mistakes that were made before are planted, and the right rung of the ladder fails.

Every mistake is planted in the same few processes (planting.py), and two of the ten Adam steps are
enough for mistakes that are in each. The ladder without a mistake passes here too: a ladder that
fails whatever it climbs catches nothing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import twins
from planting import ALL, Nursery, Planted

from bench.parity.certificate import Check
from bench.parity.rungs import data, forward, gradient, optimizer, postprocessing, weights
from bench.parity.rungs.base import Context
from pose import architecture, splits
from pose.weights import initial, save

pytestmark = pytest.mark.frameworks("tensorflow", "torch")

STEPS = 2
CLIMBS: dict[int, Callable[[Context], list[Check]]] = {
    1: data.climb,
    2: weights.climb,
    3: forward.climb,
    4: gradient.climb,
    5: partial(optimizer.climb, steps=STEPS),
    8: postprocessing.climb,
}
BOTH = ("tf", "torch")


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """Return a context without mistakes, whose folder is made anew for each climb."""
    folder = tmp_path_factory.mktemp("mutations")
    coco = twins.dataset(folder / "coco")
    resolved = twins.tiny()
    splits.save(splits.make(resolved.split, coco), folder / "split.json")
    start = folder / "init.safetensors"
    save(start, initial(architecture.build(resolved.model), 0))
    nursery = Nursery(folder / "kept", threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        yield Planted(
            resolved, folder / "climb", coco, folder / "split.json", start, threads=1, nursery=nursery
        )
    nursery.close()
    shutil.rmtree(folder)


@pytest.fixture
def clean(ladder: Planted) -> Iterator[Planted]:
    ladder.folder.mkdir()
    yield ladder
    shutil.rmtree(ladder.folder)


def failed(checks: list[Check]) -> list[Check]:
    """Return the checks that failed."""
    return [check for check in checks if check.passed is False]


@dataclass(frozen=True)
class Mistake:
    """A mistake, in whom it is planted, and where the ladder finds it."""

    plant: str
    who: tuple[str, ...]
    rung: int
    check: str
    """A pattern of the name of the first check that fails."""
    where: str
    """A pattern of the place that this check names."""
    passed: tuple[int, ...] = ()
    """Rungs that have to pass under it."""
    slow: bool = False
    """It mirrors another (the ladder is not one-sided), or another shows its rung and check as well."""

    @property
    def name(self) -> str:
        """Return what pytest calls it."""
        return f"{self.plant.partition(':')[2].removesuffix('_{who}')}-in-{'-and-'.join(self.who)}"

    @property
    def batches(self) -> int:
        """Return how many gradients are measured: a mistake in the loss is in each, others need none."""
        return ALL if 4 in self.passed else int(self.rung == 4)

    @property
    def plants(self) -> Mapping[str, str]:
        """Return what Context takes."""
        return {who: self.plant.format(who=who) for who in self.who}

    def climb(self, context: Context) -> list[Check]:
        """Return the checks of the mistake's rung; of rung 5, those of the half that it is in."""
        if self.rung != 5:
            return CLIMBS[self.rung](context)
        return optimizer.schedules(context) if "schedule" in self.check else optimizer.walked(context, STEPS)


def of_network(
    plant: str, who: str, rung: int, check: str, where: str, *passed: int, slow: bool = False
) -> Mistake:
    return Mistake(f"network_plants:{plant}", (who,), rung, check, where, passed, slow)


STATISTICS = "fp64 running statistics after one step"
STEP = "fp64 step 1 from identical state"
PARAMETER = r"[\w.]+\.(weight|bias)$"
SAMPLE = r"annotation \d+, "
MISTAKES = [
    Mistake("plants:half_pixel_shift", ("shared",), 1, "published recipe: pixels", SAMPLE),
    Mistake("plants:blue_green_red", ("shared",), 1, "published recipe: pixels", SAMPLE),
    Mistake("plants:swapped_flip_pair", ("shared",), 1, "published recipe: heatmaps", SAMPLE),
    Mistake("plants:swapped_flip_pair", ("shared",), 8, "flip test: ", r"\w+"),
    of_network(
        "deconvolution_turned_when_loaded", "tf", 2, "canonical -> tf, float64", r"deconv_layers\.0\.weight"
    ),
    of_network("deconvolution_turned", "tf", 3, STATISTICS, r"deconv_layers\.1\.running_mean", 2),
    of_network("same_padding", "tf", 3, STATISTICS, r"bn1\.running_mean", 2),
    of_network("batch_norm_epsilon", "tf", 3, STATISTICS, r"layer1\.0\.bn1\.running_mean", 2, slow=True),
    of_network("batch_norm_epsilon", "torch", 3, STATISTICS, r"layer1\.0\.bn1\.running_mean", 2, slow=True),
    of_network("batch_norm_momentum", "tf", 3, STATISTICS, r"bn1\.running_mean", 2, slow=True),
    of_network("biased_variance", "tf", 3, STATISTICS, r"bn1\.running_var", 2),
    of_network("channels_swapped_{who}", "tf", 3, STATISTICS, r"bn1\.running_mean", 2, slow=True),
    of_network("channels_swapped_{who}", "torch", 3, STATISTICS, r"bn1\.running_mean", 2, slow=True),
    of_network("loss_without_weights_{who}", "tf", 4, "fp64 loss", "loss", 2, 3),
    of_network("loss_without_weights_{who}", "torch", 4, "fp64 loss", "loss", 2, 3, slow=True),
    of_network("adam_epsilon", "tf", 5, STEP, PARAMETER),
    of_network("adam_epsilon", "torch", 5, STEP, PARAMETER, 2, 3, 4, slow=True),
    of_network("adam_epsilon_before_the_correction", "tf", 5, STEP, PARAMETER, slow=True),
    of_network("betas_cast", "tf", 5, STEP, r".* \(second moment\)", slow=True),
    of_network("stale_rate_{who}", "tf", 5, "step schedule, tf: the rate that Adam used", "epoch [4-9]"),
    of_network(
        "stale_rate_{who}",
        "torch",
        5,
        "step schedule, torch: the rate that Adam used",
        "epoch [4-9]",
        slow=True,
    ),
    Mistake(
        "network_plants:loss_without_weights_{who}",
        BOTH,
        4,
        "fp64 loss to the published formula",
        "tf|torch",
        (2, 3),
    ),
    Mistake("network_plants:late_schedule", BOTH, 5, "step schedule, tf", "epoch 4"),
]


def test_the_ladder_without_a_mistake_passes(clean: Planted):
    assert {rung: failed(climb(clean)) for rung, climb in CLIMBS.items()} == {rung: [] for rung in CLIMBS}


@pytest.mark.parametrize(
    "mistake",
    [pytest.param(m, id=m.name, marks=[pytest.mark.slow] if m.slow else []) for m in MISTAKES],
)
def test_a_known_mistake_fails_its_rung_and_its_place_is_named(clean: Planted, mistake: Mistake):
    context = replace(clean, plants=mistake.plants, batches=mistake.batches)
    for rung in mistake.passed:
        assert failed(CLIMBS[rung](context)) == []
    first, *_ = failed(mistake.climb(context))
    assert re.search(mistake.check, first.name)
    assert first.where is not None
    assert re.match(mistake.where, first.where)
