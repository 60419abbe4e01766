"""--dry-run's disk against du, what it refuses, and --clean: on a few real voices, stages in this process."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pysteps.formats import command
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.recipe import clean, disk, plan, space, status
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.train import owner
from tests.pipeline import REPO, arguments, small_corpus

STAGES = ("audio", "vad", "augment", "features", "egs")
KINDS = {"augment__kinds": "noise,speed0.9", "egs__archive_chunks": "8"}


class Made(NamedTuple):
    """A run, its estimates before anything but the sets was there, and what du said each stage took."""

    run: Run
    headers: dict[str, float | None]
    measured: dict[str, float | None]
    took: dict[str, int]


def du(work: Path) -> int:
    said = subprocess.run(["du", "-s", "-B1", str(work)], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[0])


def do(run: Run, stage: str) -> None:
    module: Any = status.MODULES[stage]
    if not hasattr(module, "worker"):
        command.single(module, run)
        return
    count, todo = command.plan(module, run)
    if count:
        command.job(module, run, todo, 1, 1)
    command.gather(module, run)


def make(folder: Path, patch: pytest.MonkeyPatch, stages: tuple[str, ...], *extra: str, **more: str) -> Made:
    patch.chdir(REPO)
    patch.setenv("PYTHONPATH", str(REPO))
    corpus, work = small_corpus(folder / "corpus", speakers=10, utterances=4), folder / "a b ö"
    run = resolve(REPO, parse(arguments(corpus, work, *extra, **{**KINDS, **more})))
    do(run, "prepare")
    headers = {stage: disk.Estimate(run).stage(stage) for stage in stages}
    measured: dict[str, float | None] = {}
    took = {}
    for stage in stages:
        measured[stage] = disk.Estimate(run).stage(stage)
        before = du(work)
        do(run, stage)
        took[stage] = du(work) - before
    return Made(run, headers, measured, took)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    with pytest.MonkeyPatch.context() as patch:
        return make(tmp_path_factory.mktemp("disk"), patch, STAGES)


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)  # a run's paths are relative to it


def off(said: dict[str, float | None], took: dict[str, int]) -> dict[str, float]:
    """By how much the estimates are wrong, where that is over a fifth."""
    wrong = {stage: (said[stage] or 0.0) / took[stage] - 1 for stage in took}
    return {stage: share for stage, share in wrong.items() if abs(share) > 0.2}


def test_the_estimate_is_within_a_fifth_of_what_du_says(made: Made) -> None:
    assert off(made.measured, made.took) == {}


def test_so_it_is_from_headers_before_any_audio_was_read(made: Made) -> None:
    assert off(made.headers, made.took) == {}


@pytest.mark.long
@pytest.mark.parametrize(
    "more",
    [
        {"audio__materialise": "flac", "augment__materialise": "flac", "egs__kind": "audio"},
        {"augment__materialise": "ark", "features__compression": "0", "train__optimiser": "adam"},
        {"features__compression": "2", "vad__method": "energy", "audio__sample_rate": "8000"},
        {"train__ema": "0.9", "train__keep": "3", "train__phases": "[{epochs: 1, optimiser: adamw}]"},
    ],
)
def test_so_it_is_with_other_options_and_with_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> None:
    found = make(tmp_path, monkeypatch, (*STAGES, "train", "extract"), **more)
    assert off(found.measured, found.took) == {}


def test_a_disk_that_is_too_small_is_refused_with_need_and_free(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = plan.rows(made.run, ["features", "egs", "train"])
    assert [bool(row.why) for row in found] == [False, False, True]
    need = found[2].rest or 0.0
    monkeypatch.setattr(space, "free", lambda folder: int(1.05 * need) + space.SPARE)
    plan.refuse_full(made.run, found)
    monkeypatch.setattr(space, "free", lambda folder: int(0.9 * need) + space.SPARE)
    with pytest.raises(InputError, match=r"the disk is too small: .* needs .*B more, and .*B are free"):
        plan.refuse_full(made.run, found)


def test_a_plan_for_other_copies_of_the_same_egs_is_made_though_their_sets_are_not_there(made: Made) -> None:
    # --augment none first, the recipe's own augmentation behind it: the egs have a plan, and new inputs.
    augment = {**made.run.options["augment"], "kinds": ["noise", "speed0.9", "reverb"]}
    run = replace(made.run, options={**made.run.options, "augment": augment})
    assert status.units_of(run)["egs"][0].folder == made.run.egs and not (run.data / "train_reverb").exists()
    rows = {row.stage: row for row in plan.rows(run, list(STAGES))}
    assert "train_reverb" in rows["egs"].why and rows["egs"].rest and rows["egs"].shards


def test_what_is_there_already_needs_no_disk(made: Made) -> None:
    rows = {row.stage: row for row in plan.rows(made.run, list(STAGES), force=True)}
    assert (rows["features"].rest or 0.0) < 0.2 * made.took["features"]


def test_checkpoints_that_a_training_sets_aside_go_on_taking_disk(made: Made) -> None:
    other = replace(made.run, options={**made.run.options, "train": {**made.run.options["train"], "lr": 0.5}})
    ours = status.units_of(made.run)["train"][0]
    owner.take_up(ours)
    (made.run.exp / "checkpoints" / "step-000000001.pt").write_bytes(b"x" * 100_000)
    # The other training keeps these and removes what was set aside before: only that would be room to it.
    named = [{path.name for path in space.places(run, "train")} for run in (made.run, other)]
    assert named[0] - named[1] == {"checkpoints"} and named[1] - named[0] == {"checkpoints.before"}
    assert space.used(space.places(made.run, "train")) - space.used(space.places(other, "train")) >= 100_000
    owner.give_up(ours)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--models.pooling", "astb"], "unknown pooling 'astb'.*known: .*astp"),
        (["--models.encoder", "ecapo"], "unknown encoder"),
        (["--models.encoder", "resnet"], "encoder resnet has no option "),
        (["--features.num_mel_bins", "400"], "mel"),
        (["--train.loss", "circle"], "unknown loss"),
        (["--train.lr", "0"], "lr is 0"),
        (["--features.pitch", "true"], "pyworld"),
    ],
)
def test_a_dry_run_refuses_what_cannot_be_built(
    made: Made, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyworld", None)  # not installed
    with pytest.raises(InputError, match=message):
        plan.refuse_unbuildable(resolve(REPO, parse(["--recipe", "folder", *words])))


def test_a_dry_run_says_the_commands_of_the_step(made: Made) -> None:
    how = {"cmd": "slurm", "nj": "3", "ngpu": "0", "nodes": "1"}
    row = plan.Row("features", "why", 1.0, 1.0, 7)
    step, planning, jobs, gather = plan.commands(row, how, Path("a b/run.json"))
    assert step.startswith("steps/features.sh --run 'a b/run.json' --cmd slurm --nj 3")
    assert "pysteps.features plan" in planning and "pysteps.features gather" in gather
    assert "steps/cmd/slurm --mem 4 --max-jobs-run 3 TIMBREJOB=1:3" in jobs  # 7 shards, 3 jobs


def test_a_dry_run_says_what_runs_around_the_steps_and_how(made: Made) -> None:
    how = {"cmd": "local", "nj": "3", "ngpu": "0", "nodes": "1", "ignore": "1", "scratch": "$TMPDIR"}
    path = Path("a b/run.json")
    found = [
        plan.Row("features", "it was cleaned away", 1.0, 1.0, 7, ("features:dev", "features:my set")),
        plan.Row("score", "why", 1.0, 1.0, None),
    ]
    said = [line.strip() for line in plan.text(made.run, found, how, path).splitlines()]
    restore, _, _, step = said[1:5]
    assert restore == (
        "$ python -m pysteps.recipe.clean 'a b/run.json' --restore features:dev 'features:my set'"
    )
    assert step.startswith("$ TIMBRE_SCRATCH='$TMPDIR' steps/features.sh --run") and "--ignore-disk" in step
    assert said[-2] == "$ python -m pysteps.score summary --run 'a b/run.json'"
    last = plan.summaries(["score", "diarize"], path), plan.summaries(["train"], path)
    assert [[command.split()[2] for command in commands] for commands in last] == [
        ["pysteps.score", "pysteps.diarize"],
        [],
    ]


@pytest.mark.parametrize(("need", "there", "asked"), [(1e9, 3e9, True), (1e9, 5e9, False), (None, 5e9, True)])
def test_a_dry_run_says_the_second_look_at_the_disk_where_the_step_takes_it(
    monkeypatch: pytest.MonkeyPatch, need: float | None, there: float, asked: bool
) -> None:
    monkeypatch.setattr(plan, "free", lambda folder: int(there))
    how = {"cmd": "local", "nj": "3", "ngpu": "0", "nodes": "1"}
    said = plan.commands(plan.Row("vad", "why", need, need, 7), how, Path("run.json"))
    assert any("pysteps.recipe.plan run.json vad" in command for command in said) is asked
    ignoring = plan.commands(plan.Row("vad", "why", need, need, 7), {**how, "ignore": "1"}, Path("run.json"))
    assert not any("recipe.plan" in command for command in ignoring)


def archives(run: Run, stage: str) -> dict[str, bytes]:
    units = status.units_of(run)[stage]
    found = {path for unit in units for pattern in clean.BULK[stage] for path in unit.folder.glob(pattern)}
    return {str(path): path.read_bytes() for path in found if path.is_file()}


def clean_all(run: Run, stages: str, force: bool = False) -> list[str]:
    return clean.clean(run, clean.parse(stages), status.units_of(run), force)


def test_what_a_stage_to_come_reads_is_not_cleaned_unless_forced(made: Made) -> None:
    with pytest.raises(InputError, match="features is still needed: train .* is to do"):
        clean_all(made.run, "audio,features")
    assert archives(made.run, "audio") and archives(made.run, "features")  # nothing was touched
    with pytest.raises(InputError, match="--clean score: nothing is cleaned there"):
        clean.parse("score")


def test_cleaned_work_is_still_done_and_comes_back_the_same_when_it_is_read(made: Made) -> None:
    run, stages = made.run, ["prepare", *STAGES]
    before = {stage: archives(run, stage) for stage in ("audio", "features")}
    said = clean_all(run, "audio, features", force=True)
    assert [sentence.split(":")[0] for sentence in said] == ["audio", "features"] and " MB" in said[0]
    assert not archives(run, "audio") and not archives(run, "features")
    assert [state for state in status.states(run, stages) if state.reason is not None] == []
    assert "cleaned away" in status.table(run, stages)
    assert status.fresh_stages(run, stages) == (stages, [])
    # Training reads the development set's features, and they are made of its audio; nothing else comes back.
    fresh, again = status.fresh_stages(run, [*stages, "train"])
    assert [(unit.stage, unit.name) for unit in again] == [("audio", "dev"), ("features", "dev")]
    assert fresh == ["prepare"]
    with pytest.raises(InputError, match="reads what --clean features removed.*--stage features"):
        status.fresh_stages(run, ["egs", "train"])
    for unit in again:
        clean.restore(unit)
    for stage in STAGES:
        do(run, stage)
    assert [state for state in status.states(run, stages) if state.reason is not None] == []
    back = {stage: archives(run, stage) for stage in before}
    dev = {stage: {name: old for name, old in of.items() if "/dev/" in name} for stage, of in before.items()}
    assert dev["audio"] and dev["features"] and back == dev
