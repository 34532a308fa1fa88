"""Recipes: the shipped ones, their overrides, and what a mistake is told."""

from __future__ import annotations

import pytest
import yaml
from pydantic import BaseModel

from pose import architecture, mistakes, recipe
from pose.errors import UserError
from pose.training_section import Augmentation, PlateauSchedule, StepSchedule

MINIMAL = {
    "name": "minimal",
    "model": {"backbone": "resnet18", "input_size": [96, 128]},
    "training": {"epochs": 2, "batch_size": 4},
}


@pytest.fixture
def written(tmp_path):
    """Return a function that writes text or a mapping as a recipe and returns its path."""

    def write(content) -> str:
        path = tmp_path / "own.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return str(path)

    return write


@pytest.mark.parametrize("name", recipe.shipped("recipes"))
def test_every_shipped_recipe_loads_and_its_network_can_be_described(name):
    loaded = recipe.load(name)
    assert loaded.name == name
    assert architecture.build(loaded.model).parameters > 10**7
    assert recipe.from_dict(yaml.safe_load(loaded.to_yaml())) == loaded
    assert recipe.from_dict(loaded.model_dump(mode="json")) == loaded
    if loaded.matrix:
        recipe.find(loaded.matrix, "matrices")


@pytest.mark.parametrize("name", recipe.shipped("recipes"))
def test_every_shipped_recipe_begins_with_its_command(name):
    first = recipe.find(name).read_text().splitlines()[0]
    assert first.startswith("#")
    assert f"--recipe {name}" in first


def test_the_recipes_of_the_first_issue_are_shipped():
    wanted = {"demo", "smoke", "study_resnet50_256x192", "coco_resnet50_384x288"}
    wanted |= {f"coco_resnet{depth}_256x192" for depth in (50, 101, 152)}
    assert wanted <= set(recipe.shipped("recipes"))


@pytest.mark.parametrize(
    ("name", "size", "sigma"),
    [("coco_resnet50_256x192", (192, 256), 2), ("coco_resnet50_384x288", (288, 384), 3)],
)
def test_the_reference_is_the_published_one(name, size, sigma):
    """Xiao et al. 2018, section 4, and the configuration files of the official code."""
    loaded = recipe.load(name)
    assert (loaded.model.input_size, loaded.model.sigma_px) == (size, sigma)
    assert loaded.model.heatmap_size == (size[0] // 4, size[1] // 4)
    assert (loaded.model.deconv_layers, loaded.model.deconv_channels) == (3, 256)
    training = loaded.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (140, 128, 1e-3)
    assert training.schedule == StepSchedule(epochs=(90, 120), factor=0.1)
    augmentation = Augmentation(scale=0.3, rotation_deg=40, rotation_p=0.6, flip_p=0.5)
    assert training.augmentation == augmentation
    assert training.early_stopping is None
    assert (loaded.evaluation.joint_threshold, loaded.evaluation.oks_nms_threshold) == (0.2, 0.9)
    assert loaded.evaluation.flip_test
    assert loaded.evaluation.shift_flipped


def test_the_study_is_as_it_was_described():
    loaded = recipe.load("study_resnet50_256x192")
    training = loaded.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (50, 32, 1e-3)
    assert isinstance(training.schedule, PlateauSchedule)
    assert (loaded.split.method, loaded.split.fractions) == ("fractions", (0.8, 0.1, 0.1))
    assert training.augmentation.colour_jitter
    assert training.augmentation.occlusion
    assert training.augmentation.occlusion.p > 0
    assert training.early_stopping is None
    assert loaded.report.table_epochs == (10, 20, 30, 40, 50)


def test_overrides_are_applied_in_order(written):
    path = written(MINIMAL)
    sets = ["training.epochs=3", "training.epochs=7", "training.augmentation.flip_p=0", "split.seed=4"]
    sets += ["training.schedule={kind: plateau, patience: 3}", "model.input_size=[192, 256]"]
    loaded = recipe.load(path, sets)
    assert loaded.training.epochs == 7
    assert loaded.training.augmentation.flip_p == 0
    assert loaded.split.seed == 4
    assert loaded.training.schedule == PlateauSchedule(patience=3)
    assert loaded.model.input_size == (192, 256)
    assert recipe.load(path).training.epochs == 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epoch=3", "unknown key 'training.epoch'; did you mean 'epochs'?"),
        ("trainig.epochs=3", "unknown key 'trainig'; did you mean 'training'?"),
        ("model.zzz=3", "unknown key 'model.zzz'; expected one of: backbone, input_size,"),
        ("training.augmentation.colour_jitter.hue=1", "'training.augmentation.colour_jitter.hue'; expected"),
        ("training.augmentation.colour_jitter.brigthness=1", "did you mean 'brightness'?"),
        ("training.schedule={kind: step, factr: 1}", "'training.schedule.factr'; did you mean 'factor'?"),
        ("training.schedule.factor=0.5", "training.schedule: lacks 'kind'; expected one of: step, plateau"),
        ("training.epochs", "is not KEY=VALUE; expected for example training.epochs=3"),
        ("=3", "is not KEY=VALUE"),
        ("name.first=3", "'name' is a value, not a section"),
        ("training.epochs=[", "the value is not YAML"),
        ("training.epochs=0", "training.epochs: Input should be greater than 0 (given: 0)"),
        ("training.epochs={a: 1}", "training.epochs: Input should be a valid integer (given: {'a': 1})"),
        ("training.epochs=many", "training.epochs: Input should be a valid integer"),
        ("training.learning_rate=.nan", "training.learning_rate"),
        ("training.learning_rate=.inf", "training.learning_rate"),
        ("training.batch_size=-1", "training.batch_size"),
        ("model.backbone=resnet51", "model.backbone: Input should be 'resnet18', 'resnet34'"),
        ("model.input_size=[100, 128]", "must be multiples of 32"),
        ("model.sigma_px=1.5", "3 sigma must be whole pixels"),
        ("split={method: fractions, fractions: [0.5, 0.5, 0.5]}", "must sum to 1"),
        ("split={method: fractions, sources: [val2017, val2017]}", "must name each annotation file once"),
        ("split={method: fractions, sources: []}", "must name each annotation file once"),
        ("data.channel_order=gbr", "data.channel_order"),
        ("training.schedule={kind: cosine}", "training.schedule"),
        ("training.augmentation.flip_p=1.5", "training.augmentation.flip_p"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line_with_what_was_meant(written, override, words):
    with pytest.raises(UserError) as refusal:
        recipe.load(written(MINIMAL), [override])
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_misspelt_key_of_the_plateau_schedule_is_compared_with_its_own_keys(written):
    schedule = ["training.schedule={kind: plateau, patiance: 3}"]
    with pytest.raises(
        UserError, match=r"unknown key 'training\.schedule\.patiance'; did you mean 'patience'"
    ):
        recipe.load(written(MINIMAL), schedule)
    with pytest.raises(UserError, match=r"one of: kind, factor, patience, threshold, min_lr$"):
        recipe.load(written(MINIMAL), ["training.schedule={kind: plateau, zzz: 3}"])


def test_a_misspelt_required_key_is_named_rather_than_called_missing(written):
    raw = {("modle" if key == "model" else key): value for key, value in MINIMAL.items()}
    with pytest.raises(UserError, match=r"unknown key 'modle'; did you mean 'model'\? \(and 1 more\)"):
        recipe.load(written(raw))


@pytest.mark.parametrize("key", ["name", "model", "training", "model.backbone", "training.epochs"])
def test_a_missing_key_is_named(written, key):
    *parents, last = key.split(".")
    raw = {name: dict(value) if isinstance(value, dict) else value for name, value in MINIMAL.items()}
    (raw[parents[0]] if parents else raw).pop(last)
    with pytest.raises(UserError, match=f"{key}: Field required"):
        recipe.load(written(raw))


@pytest.mark.parametrize(
    ("content", "words"),
    [("a: [", "is not YAML"), ("- 1\n", "holds a list"), ("", "holds a NoneType"), ("\0", "is not YAML")],
)
def test_a_file_that_is_no_mapping_is_refused(written, content, words):
    with pytest.raises(UserError, match=words) as refusal:
        recipe.load(written(content))
    assert "\n" not in str(refusal.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "own.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(UserError, match="is not YAML"):
        recipe.load(str(tmp_path / "own.yaml"))


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UserError, match=r"unknown recipe 'demoo'; did you mean 'demo'\?"):
        recipe.load("demoo")
    with pytest.raises(UserError, match="unknown matrix 'zzzzzz'; expected one of: "):
        recipe.find("zzzzzz", "matrices")
    with pytest.raises(UserError, match=r"no file none\.yaml; expected a YAML of recipes"):
        recipe.load("none.yaml")


def test_a_recipe_cannot_be_changed(small):
    with pytest.raises(ValueError, match="frozen"):
        small.training.epochs = 5


def test_every_key_of_every_section_is_reachable():
    def walk(model: type[BaseModel], path: list[str]):
        assert set(model.model_fields) <= set(mistakes.known_keys(recipe.Recipe, path))
        for name, field in model.model_fields.items():
            for section in mistakes._sections(field.annotation):
                walk(section, [*path, name])

    walk(recipe.Recipe, [])


def test_a_native_pipeline_refuses_colours_that_the_frameworks_define_otherwise(written):
    path = written(MINIMAL)
    assert recipe.load(path).data.pipeline == "shared"
    native = ["data.pipeline=native"]
    assert recipe.load(path, native).data.pipeline == "native"
    jitter = "training.augmentation.colour_jitter={brightness: 0.2}"
    with pytest.raises(UserError) as refused:
        recipe.load(path, [*native, jitter, "training.augmentation.occlusion={p: 0.3}"])
    said = str(refused.value)
    assert "--set training.augmentation.colour_jitter=null --set training.augmentation.occlusion=null" in said
    assert said.endswith("occlusion=null, or shared")
    assert "\n" not in said
    assert recipe.load(path, [*native, jitter, "training.augmentation.colour_jitter=null"])
