"""No file under its final name is ever partial: every writer, on a disk that refuses half of it."""

from __future__ import annotations

import ast
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from pysteps.backend.cohort import save_cohort
from pysteps.backend.kaldi_io import write_matrix, write_plda
from pysteps.backend.scorenorm import Cohort
from pysteps.formats import arks, shards
from pysteps.formats.atomic import write_text
from pysteps.formats.scratch import near
from pysteps.formats.stamps import Unit
from pysteps.formats.tables import write_lines
from pysteps.score import Trials, write_scores

ROWS = np.random.default_rng(0).normal(size=(40, 40))
NAMES = [f"utterance-{number:04d}" for number in range(400)]


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """Within the block no file can be larger than ``most`` bytes: what writes on is refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def archive(folder: Path) -> None:
    with arks.writing(folder / "x.1.ark") as writer:
        for utt in NAMES[:9]:
            writer.array(utt, ROWS)


def scores(folder: Path) -> None:
    rows = np.arange(len(NAMES))
    write_scores(folder / "scores", Trials(NAMES, NAMES, rows, rows, rows % 2 == 0, "list"), rows / 7)


def unit(folder: Path) -> Unit:
    return Unit(name="set", stage="stage", folder=folder, version=1, options={})


def plan(folder: Path) -> None:
    shards.plan(unit(folder), NAMES, 200)


def gathered(folder: Path) -> None:
    one = unit(folder)
    waiting = [(one, number) for number in shards.plan(one, NAMES, 20)]
    shards.run(waiting, lambda _, number, utts: {"table": dict.fromkeys(utts, "entry " * 5)}, "job")
    shards.gather(one, ["table"])


def near_copy(folder: Path) -> None:
    source = folder.parent / "source"
    source.mkdir(exist_ok=True)
    if not (source / "egs.ark").exists():
        (source / "egs.ark").write_bytes(ROWS.tobytes())
    with near(source, ["egs.ark"], folder) as place:
        (place / "egs.ark").rename(folder / "egs.ark")  # to be looked at: the copy goes with the block


def checkpoint(folder: Path) -> None:
    import torch

    from pysteps.train.checkpoint import Checkpoints

    Checkpoints(folder).save_epoch({"w": torch.zeros(3000)}, 1, [1])


def model(note: str) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        import torch

        from pysteps.models.model import SpeakerModel, save_model
        from pysteps.models.options import ModelOptions

        small = {"channels": 16, "frame_channels": 24, "scale": 4, "se_channels": 8}
        options = ModelOptions(network=small, pool={"attention_channels": 8}, xvector_dim=10, feature_dim=6)
        torch.manual_seed(0)
        save_model(SpeakerModel(options), folder, {"note": note})

    return save


def room(folder: Path) -> None:
    from pysteps.augment.pools import Pools, rooms_folder

    options = {"augment": {"seed": 0, "room_rt60": (0.1, 0.2)}, "audio": {"sample_rate": 8000}}
    run = SimpleNamespace(data=folder, options=options)
    own = SimpleNamespace(_run=run, rate=8000, options=SimpleNamespace(**options["augment"]))
    Pools._room(own, "room-1")  # type: ignore[arg-type]
    (rooms_folder(run) / "room-1.npy").rename(folder / "room-1.npy")  # type: ignore[arg-type]


def wav(folder: Path) -> None:
    from local.augmentation import write_wav

    write_wav(folder / "room-1.wav", ROWS.ravel() / 9)


def plot(folder: Path) -> None:
    from matplotlib.figure import Figure

    from pysteps.features.plot import save

    save(Figure(), folder / "plot.png")


RESULTS = {"trials": {"list": {"plda": {"eer": 1.0, "threshold": None, "targets": 9, "nontargets": 9}}}}
POINTS = {"list": {"plda": [[0.0, 1.0], [1.0, 0.0]]}}


def page(folder: Path) -> None:
    from pysteps.report import render

    render(RESULTS, POINTS, [], folder / "report.html")


def comparison(folder: Path) -> None:
    from pysteps.report import render_comparison

    systems = {"one": RESULTS, "two": RESULTS}
    render_comparison(systems, folder / "compare.html", det=dict.fromkeys(systems, POINTS))


WRITERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda folder: write_text(folder / "result.json", "x" * 4000), "result.json"),
    "lines": (lambda folder: write_lines(folder / "wav.scp", (f"{utt} x\n" for utt in NAMES)), "wav.scp"),
    "scores": (scores, "scores"),
    "archive": (archive, "x.1.ark"),
    "plan": (plan, "shards/*.items"),
    "table of shards": (gathered, "table"),
    "copy on scratch": (near_copy, "egs.ark"),
    "matrix": (lambda folder: write_matrix(folder / "transform.mat", ROWS), "transform.mat"),
    "plda": (lambda folder: write_plda(folder / "plda", ROWS[0], ROWS, ROWS[0]), "plda"),
    "cohort": (lambda folder: save_cohort(Cohort(NAMES[:40], ROWS, np.ones(40, int)), folder), "cohort.ark"),
    "checkpoint": (checkpoint, "*.pt"),
    "network": (model(""), "model.safetensors"),
    "description": (model("long " * 40000), "model.json"),
    "room": (room, "room-1.npy"),
    "wav": (wav, "room-1.wav"),
    "plot": (plot, "plot.png"),
    "report": (page, "det.png"),
    "comparison": (comparison, "compare.png"),
}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("write", "name"), WRITERS.values(), ids=list(WRITERS))
def test_what_a_disk_refuses_half_way_is_not_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], object], name: str
) -> None:
    for part in ("page", "compare"):
        monkeypatch.setattr(f"pysteps.report.{part}.det_figure", lambda *_, **__: None)
        monkeypatch.setattr(f"pysteps.report.{part}.picture", lambda *_: b"picture" * 20000)
    monkeypatch.setattr("pysteps.augment.rooms.simulate_room", lambda *_, **__: ROWS)
    whole, half = tmp_path / "whole", tmp_path / "half"
    whole.mkdir(), half.mkdir()
    write(whole)
    (there,) = whole.glob(name)
    with pytest.raises(OSError, match="cannot be written: File too large"):
        with small_files(there.stat().st_size // 2):
            write(half)
    assert not list(half.glob(name)) and not list(half.rglob(".*.part.*"))


def test_events_that_cannot_be_copied_are_not_under_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are written elsewhere first: here the reading fails, when the file is open."""
    from pysteps.train.curves import write_events

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            (Path(folder) / "events.out").touch()

        def __enter__(self) -> Writer:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def lost(_: Path) -> bytes:
        raise OSError(5, "Input/output error")

    stub = ModuleType("torch.utils.tensorboard")
    stub.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stub)
    write_events({"epoch": 1}, tmp_path)
    assert (tmp_path / "events.out").is_file()
    (tmp_path / "events.out").unlink()
    monkeypatch.setattr(Path, "read_bytes", lost)
    with pytest.raises(OSError, match="Input/output error"):
        write_events({"epoch": 1}, tmp_path)
    assert not list(tmp_path.iterdir())


# Files that are no products: locks, a gallery that grows behind its record, a descriptor of run.sh's.
ELSEWHERE = {
    "export/int8_file.py": 1,  # in a temporary folder
    "formats/scratch.py": 2,
    "identify/gallery.py": 3,
    "prepare/download.py": 1,  # a lock
    "recipe/__main__.py": 1,
    "tune/study.py": 1,  # half a line is cut off the journal
}
METHODS = ("write_text", "write_bytes", "tofile")  # of Path and of arrays


def written(tree: ast.AST) -> Iterator[int]:
    """Lines that open a file for writing by its name, past formats/atomic.py."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        words = [str(word.value) for word in node.args if isinstance(word, ast.Constant)]
        words += [str(word.value.value) for word in node.keywords if isinstance(word.value, ast.Constant)]
        if isinstance(node.func, ast.Name) and node.func.id == "open":
            if any(set(word) <= set("rwaxbt+") and set(word) & set("wax+") for word in words):
                yield node.lineno
        elif isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            yield node.lineno


def test_no_room_writes_past_formats_atomic(repo: Path) -> None:
    rooms = repo / "pysteps"
    found = {
        str(path.relative_to(rooms)): list(written(ast.parse(path.read_text("utf-8"))))
        for path in rooms.rglob("*.py")
    }
    assert {name: len(lines) for name, lines in found.items() if lines} == ELSEWHERE, found
