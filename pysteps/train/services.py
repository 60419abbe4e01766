"""The processes that tell services on the network how a training goes: ``python -m pysteps.train.services``.

Each reads its training's epochs from standard input (``watch``). It knows the training by the id that the
service gave it, kept beside the checkpoints: a training that was killed goes on as the same run there, one
that begins anew is a new run.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..formats.atomic import write_text
from .curves import numbers

CLOSE: dict[str, Any] = {"close": True}
_MOST = 200  # characters of what a service said
# What belongs into one picture, and its name there.
PICTURES = {
    "loss": ("loss", "training"),
    "valid_loss": ("loss", "held out"),
    "accuracy": ("accuracy", "training"),
    "valid_accuracy": ("accuracy", "held out"),
    "dev_loss": ("loss", "development"),
    "dev_accuracy": ("accuracy", "development"),
    "dev_balanced_accuracy": ("accuracy", "development, mean of classes"),
    "same_cosine": ("cosine", "same speaker"),
    "different_cosine": ("cosine", "different speakers"),
}


class Service(Protocol):
    """A run of a service, begun or gone on with when it is made; ``out`` is exp/TAG."""

    def __init__(self, out: Path, patience: float) -> None:
        """Any error is said and ends it."""

    def epoch(self, line: Mapping[str, Any]) -> None:
        """Tell of an epoch."""

    def close(self, well: bool) -> None:
        """Send what is left; ``well``: the training came to its end."""


class WandB:
    """A run of Weights & Biases; where its server cannot be reached, one that ``wandb sync`` sends later."""

    def __init__(self, out: Path, patience: float) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        kept = out / "checkpoints" / "wandb.id"
        told: dict[str, Any] = {
            "project": os.environ.get("WANDB_PROJECT") or "timbre",
            "name": out.name,
            "id": kept.read_text("utf-8").strip() if kept.is_file() else uuid.uuid4().hex[:8],
            "dir": os.environ.get("WANDB_DIR") or str(out),
            "config": options_of(out),
        }
        write_text(kept, told["id"] + "\n")
        quiet: dict[str, Any] = {"console": "off", "disable_git": True, "x_disable_stats": True}
        settings = wandb.Settings(**quiet, init_timeout=patience / 2)
        offline = os.environ.get("WANDB_MODE", "online") != "online"
        try:
            # Offline there is nothing to ask whether the run is known: the same id is all.
            self._run = wandb.init(**told, settings=settings, resume=None if offline else "allow")
        except wandb.errors.Error as error:
            say("wandb", f"{short(error).rstrip('.')}; kept in {told['dir']}/wandb for `wandb sync`")
            wandb.teardown()
            self._run = wandb.init(**told, settings=wandb.Settings(**quiet), mode="offline")

    def epoch(self, line: Mapping[str, Any]) -> None:
        values = {f"train/{key}": value for key, value in numbers(line)}
        self._run.log(values, step=int(line["epoch"]))

    def close(self, well: bool) -> None:
        self._run.finish(exit_code=0 if well else 1)


class ClearML:
    """A task of ClearML that looks at nothing by itself: it has the options and the epochs."""

    def __init__(self, out: Path, patience: float) -> None:
        if os.environ.get("CLEARML_OFFLINE_MODE"):  # its session is a file: not in the home folder
            os.environ.setdefault("CLEARML_CACHE_DIR", str(out / "clearml"))
        from clearml import Task

        kept = out / "checkpoints" / "clearml.id"
        before = kept.read_text("utf-8").strip() if kept.is_file() and not Task.is_offline() else ""
        self._task: Any = Task.init(
            project_name=os.environ.get("CLEARML_PROJECT") or "timbre",
            task_name=out.name,
            reuse_last_task_id=before or False,
            continue_last_task=0 if before else False,  # epochs count on as they are
            auto_connect_arg_parser=False,
            auto_connect_frameworks=False,
            auto_connect_streams=False,
            auto_resource_monitoring=False,
        )
        if not Task.is_offline():
            write_text(kept, self._task.id + "\n")
        self._task.connect_configuration(options_of(out), name="options")

    def epoch(self, line: Mapping[str, Any]) -> None:
        for key, value in numbers(line):
            title, series = PICTURES.get(key, (key, key))
            self._task.get_logger().report_scalar(title, series, iteration=int(line["epoch"]), value=value)

    def close(self, well: bool) -> None:
        if not well:
            self._task.mark_stopped(status_message="the training did not come to its end")
        self._task.close()


SERVICES: dict[str, type[Service]] = {"wandb": WandB, "clearml": ClearML}


def options_of(out: Path) -> dict[str, Any]:
    """What the run was asked for, as its run.json says; {} where there is none."""
    path = out / "run.json"
    return json.loads(path.read_text("utf-8"))["options"] if path.is_file() else {}


def short(error: BaseException) -> str:
    """An error's first words, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def say(name: str, what: str) -> None:
    """A line in the training's log."""
    print(f"train: {name}: {what}", file=sys.stderr, flush=True)


def _read(lines: queue.SimpleQueue[dict[str, Any] | None], name: str, patience: float) -> None:
    # The end of input is the training's end, whichever. What has not been sent some time later never will.
    for text in sys.stdin:
        lines.put(json.loads(text))
    lines.put(None)
    threading.Timer(patience, _leave, [name, patience]).start()


def _leave(name: str, patience: float) -> None:
    say(name, f"not done {patience:g} s after training: left")
    os._exit(1)


def serve(name: str, out: Path, patience: float) -> None:
    """Tell service ``name`` of the epochs on standard input until it ends, and ``patience`` seconds on.

    After as many seconds without an answer to begin with the log says so.
    """
    os.nice(10)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the training's: its end is ours
    logging.disable(logging.CRITICAL)
    lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines, name, patience), daemon=True).start()
    late = threading.Timer(patience, say, [name, f"no answer for {patience:g} s; training goes on"])
    late.daemon = True
    late.start()
    well = False
    try:
        service = SERVICES[name](out, patience)
        late.cancel()
        while (line := lines.get()) is not None:
            if line == CLOSE:
                well = True
            else:
                service.epoch(line)
        service.close(well)
    except Exception as error:  # whatever a service throws
        say(name, f"{short(error)}; training goes on without it")
    finally:
        os._exit(0)  # no thread of the service's is waited for


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
