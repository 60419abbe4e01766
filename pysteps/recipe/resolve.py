"""From a recipe, conf/ and a command line to one resolved run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from ..audio.options import AudioOptions
from ..augment.options import AugmentOptions
from ..backend.options import BackendOptions
from ..diarize.options import DiarizeOptions
from ..egs.options import EgsOptions
from ..extract.options import ExtractOptions
from ..features.contract import FeaturesOptions
from ..formats.errors import InputError
from ..formats.names import MORE
from ..formats.run import Run
from ..models.options import ModelOptions
from ..prepare.options import PrepareOptions
from ..score.options import ScoreOptions
from ..train.options import TrainOptions
from ..vad.options import VadOptions
from .checks import check_prepare, check_sets, check_together
from .options import Chosen, is_path, nearest
from .resume import Kept, kept

OPTIONS = {
    "prepare": PrepareOptions,
    "audio": AudioOptions,
    "vad": VadOptions,
    "augment": AugmentOptions,
    "features": FeaturesOptions,
    "egs": EgsOptions,
    "models": ModelOptions,
    "train": TrainOptions,
    "extract": ExtractOptions,
    "backend": BackendOptions,
    "score": ScoreOptions,
    "diarize": DiarizeOptions,
}
# Said once, at the earliest stage that needs it, and taken over by the later one.
INHERITED = {
    "features.sample_rate": "audio.sample_rate",
    "features.frame_length_ms": "vad.frame_length_ms",
    "features.frame_shift_ms": "vad.frame_shift_ms",
    "features.snip_edges": "vad.snip_edges",
}
# The conf file of a stage that a recipe does not name ("default" for those not listed).
CONF = {
    "audio": "16k",
    "vad": "webrtc",
    "augment": "musan",
    "features": "fbank80",
    "models": "ecapa512",
    "train": "aam",
    "diarize": "ahc",
}
# What a recipe.sh may set beside the names of conf files, with defaults.
VARIABLES = {
    "description": "",
    "corpus": "",
    "prepare": "",
    "train_set": "train",
    "dev_set": "dev",
    "eval_sets": "eval",
    "adapt_sets": "",
    "diarize_sets": "",
    "diarize_dev_set": "",
    "labels": "",
    "options": "",
    "hours": "",
    "speakers": "",
    "size": "",
    "licence": "",
    "expected": "",
    "caution": "",
}


def read_recipe(folder: Path) -> dict[str, str]:
    """The variables that egs/NAME/recipe.sh sets, by running it in an empty environment."""
    script = folder / "recipe.sh"
    if not script.is_file():
        known = sorted(path.parent.name for path in folder.parent.glob("*/recipe.sh"))
        raise InputError(f"no recipe {folder.name}", where=script, mend=nearest(folder.name, known))
    done = subprocess.run(
        ["bash", "-c", 'set -aeuo pipefail; . "$1"; env -0', "recipe", str(script)],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise InputError(done.stderr.decode(errors="replace").strip(), where=script)
    pairs = (item.partition("=") for item in done.stdout.decode().split("\0") if item)
    skip = {"PATH", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD"}
    variables = {name: value for name, _, value in pairs if name not in skip}
    for name in variables:
        if name not in VARIABLES and name not in OPTIONS:
            raise InputError(
                f"unknown variable {name}", where=script, mend=nearest(name, [*VARIABLES, *OPTIONS])
            )
    return variables


def read_conf(folders: list[Path], stage: str, name: str) -> dict[str, Any]:
    """conf/STAGE/NAME.yaml, the recipe's own if there is one; or the file of such a path."""
    paths = [Path(name)] if is_path(name) else [folder / stage / f"{name}.yaml" for folder in folders]
    for path in paths:
        if path.is_file():
            try:
                content = yaml.safe_load(path.read_text("utf-8")) or {}
            except yaml.YAMLError as error:
                raise InputError(str(error), where=path) from error
            keys = {field.name for field in fields(OPTIONS[stage])}
            for key in content:
                if key not in keys:
                    raise InputError(f"unknown key {key}", where=path, mend=nearest(str(key), sorted(keys)))
            return content
    if is_path(name):
        said = f"no {stage} configuration here"
        raise InputError(said, where=name, mend="a path of a YAML file, or a name")
    known = sorted(path.stem for folder in folders for path in (folder / stage).glob("*.yaml"))
    if name == "default" and not known:
        return {}
    raise InputError(f"no {stage} configuration {name}", where=folders[-1] / stage, mend=nearest(name, known))


def _settings(chosen: Chosen, recipe: Mapping[str, str], where: Path) -> list[tuple[str, str]]:
    from .options import parse

    try:
        own = parse(shlex.split(recipe.get("options", "")))
    except ValueError as error:
        raise InputError(f"options: {error}", where=where) from error
    if own.values or own.flags or own.confs:
        raise InputError("options may hold --STAGE.key values only", where=where)
    return [*own.settings, *chosen.settings]


def _check_setting(name: str) -> tuple[str, str]:
    stage, _, key = name.partition(".")
    if stage not in OPTIONS:
        raise InputError(f"unknown option --{name}", mend=nearest(stage, OPTIONS))
    known = [field.name for field in fields(OPTIONS[stage])]
    if key.partition(".")[0] not in known:  # behind a dot: one entry of a table, as backend.backends.NAME
        raise InputError(f"unknown option --{name}", mend=nearest(key, known))
    if name in INHERITED:
        raise InputError(f"--{name} follows --{INHERITED[name]}", mend=f"set --{INHERITED[name]}")
    return stage, key


def _by_stage(settings: list[tuple[str, str]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {stage: {} for stage in OPTIONS}
    for option, value in settings:
        stage, key = _check_setting(option)
        found[stage][key] = value
    return found


def _options(
    confs: Mapping[str, Mapping[str, Any]], present: list[str], settings: Mapping[str, dict[str, str]]
) -> dict[str, dict[str, Any]]:
    # Of every stage, typed, in order: what is inherited comes from an earlier one.
    options: dict[str, dict[str, Any]] = {}
    for stage in present:
        fresh = {field.name for field in fields(OPTIONS[stage])}  # a run.json may be of an older version
        conf = {key: value for key, value in confs.get(stage, {}).items() if key in fresh}
        for option, source in INHERITED.items():
            above, key = source.split(".")
            if option.startswith(f"{stage}."):
                conf[option.split(".")[1]] = options[above][key]
        options[stage] = _typed(stage, conf, settings[stage])
    return options


def _typed(stage: str, values: dict[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    # jsonargparse gives every value its field's type, or says why it cannot.
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(OPTIONS[stage])
    try:
        parsed = parser.parse_object(values)
        if settings:
            pairs = ((f"--{key}", _listed(stage, key, value)) for key, value in settings.items())
            words = [word for pair in pairs for word in pair]
            parsed = parser.parse_args(words, namespace=parsed)
        return asdict(OPTIONS[stage](**parsed.as_dict()))
    except InputError:
        raise
    except Exception as error:  # jsonargparse raises several kinds; its sentence is what the user needs
        raise InputError(" ".join(str(error).split()), where=f"options of {stage}") from error


def _listed(stage: str, key: str, value: str) -> str:
    # What stands for several may be written a,b as well as [a,b].
    kinds = {field.name: str(field.type) for field in fields(OPTIONS[stage])}
    several = kinds.get(key, "").startswith(("list", "tuple"))
    return f"[{value}]" if several and not value.startswith(("[", "(")) else value


def resolve(root: Path, chosen: Chosen) -> Run:
    """The run of a recipe below ``root``; every option typed and checked."""
    name = chosen.values.get("recipe", "mini")
    folder = Path("egs") / name
    recipe = read_recipe(root / folder)
    settings = _by_stage(_settings(chosen, recipe, folder / "recipe.sh"))
    named = {**CONF, **recipe, **chosen.confs}
    asked = {*chosen.confs, *(stage for stage, values in settings.items() if values)}
    present = _present(recipe, asked, folder / "recipe.sh")
    names = {stage: named.get(stage, "default") for stage in present if stage != "prepare"}
    folders = [root / folder / "conf", root / "conf"]
    written = {stage: read_conf(folders, stage, names[stage]) for stage in names}
    names = {stage: Path(conf).stem if is_path(conf) else conf for stage, conf in names.items()}
    options = _options(written, present, settings)
    tag = chosen.values.get("tag") or f"{names['models']}_{names['features']}_{names['train']}"
    if "/" in tag or tag in (".", "..", "egs"):
        raise InputError(f"--tag {tag} is no folder name")
    variables, work = {**VARIABLES, **recipe}, chosen.values.get("work", str(folder))
    before = kept(root / work / "exp" / tag / "run.json", name, chosen, present)
    if before.options:
        names |= before.names
        others = [stage for stage in names if stage not in before.options]
        confs = {stage: written[stage] for stage in others if stage in written}
        given = _by_stage(chosen.settings)
        now = {**settings, **{stage: given[stage] for stage in before.options}}
        if before.method and "diarize" in confs:
            own = _by_stage(_settings(Chosen(), recipe, folder / "recipe.sh"))["diarize"]
            now["diarize"] = {**own, **_cut(before, folders, confs["diarize"], own), **given["diarize"]}
        plain, options = options, _options({**confs, **before.options}, present, now)
        before.say(options, plain)
    check_together(options)
    options["models"]["feature_dim"] = dim = FeaturesOptions(**options["features"]).dim
    meant = written["models"].get("feature_dim", dim)
    if meant != dim and "models" not in before.options:  # said where the network is chosen
        said = f"{names['models']} was published for {meant} features a frame, {names['features']} has {dim}"
        print(f"note: {said}; any number works", file=sys.stderr)
    check_prepare(root, variables["prepare"] or name, folder / "recipe.sh")
    run = Run(
        recipe=name,
        corpus=chosen.values.get("corpus", before.corpus or variables["corpus"]),
        prepare=variables["prepare"] or name,
        work=work,
        tag=tag,
        egs_tag=f"{names['egs']}_{names['features']}_{names['vad']}",
        train_set=variables["train_set"],
        dev_set=variables["dev_set"],
        eval_sets=variables["eval_sets"].split(),
        names=names,
        options=options,
        allow_pipes="allow-pipes" in chosen.flags,
        caution=variables["caution"],
        adapt_sets=variables["adapt_sets"].split(),
        diarize_sets=variables["diarize_sets"].split(),
        diarize_dev_set=variables["diarize_dev_set"],
        labels=variables["labels"],
    )
    check_sets(run)
    return run


def _cut(before: Kept, folders: list[Path], conf: Mapping[str, Any], own: dict[str, str]) -> dict[str, str]:
    # What an earlier command line said of the windows: the recipe would say something else. A conf file that
    # is named now goes before it.
    try:
        then = read_conf(folders, "diarize", before.method)
    except InputError:  # it is gone
        return {}
    plain = _typed("diarize", then, own)
    said = {key: value for key, value in before.cut.items() if plain[key] != value}
    return {key: str(value) for key, value in said.items() if then == conf or key not in conf}


def _present(recipe: Mapping[str, str], asked: set[str], where: Path) -> list[str]:
    # What has options: every stage but those that the recipe has no sets for.
    absent = [stage for stage in MORE if not recipe.get(f"{stage}_sets", "").split()]
    for stage in absent:
        if stage in asked or recipe.get(f"{stage}_dev_set"):
            raise InputError(
                f"this recipe has no stage {stage}", where=where, mend=f"name its sets there: {stage}_sets"
            )
    return [stage for stage in OPTIONS if stage not in absent]
