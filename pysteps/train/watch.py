"""Who watches a training: TensorBoard, Weights & Biases, ClearML. None of them stops it or slows it down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from .curves import write_events
from .options import TrainOptions
from .services import CLOSE, SERVICES

PATIENCE = 30.0  # seconds that a service has to answer at first, and for what is left to send at the end
_ROOT = Path(__file__).resolve().parents[2]


class Watchers:
    """All that ``options`` ask for, told of every epoch of the training in ``out`` (exp/TAG).

    TensorBoard's events are files, written at once. Each service has a process of its own that the epochs are
    sent to: what it does to a Python process it does there, and if it hangs, nobody waits for it. InputError
    for a service whose package is missing: construct this before training begins. In a training of several
    processes the first alone has one.
    """

    def __init__(self, options: TrainOptions, out: Path) -> None:
        refuse_missing(options)
        self._events = Path(out) / "tensorboard" if options.tensorboard else None
        self._services = [_Service(name, Path(out)) for name in SERVICES if getattr(options, name)]

    def __enter__(self) -> Watchers:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(ended=kind is None)

    def epoch(self, line: Mapping[str, Any]) -> None:
        """Tell of an epoch: its line of the curves."""
        if self._events is not None:
            write_events(line, self._events)
        for service in self._services:
            service.send(line)

    def close(self, ended: bool = True) -> None:
        """Let the services send what they still have, for PATIENCE at most. ``ended``: as it should."""
        for service in self._services:
            service.end(ended)
        for service in self._services:
            service.wait()
        self._services = []


def refuse_missing(options: TrainOptions) -> None:
    """InputError if a service is asked for whose package is not installed."""
    for name in SERVICES:
        if not getattr(options, name):
            continue
        found = find_spec(name)
        if found is None or found.origin is None:  # a folder of that name, as W&B makes them, is no package
            mend = f". ./path.sh && pip install -r requirements/{name}.txt, or --train.{name} false"
            raise InputError(f"{name} is not installed", mend=mend)


class _Service:
    """A process that reads epochs as JSON lines; it ends some time after its input does, even of a kill."""

    def __init__(self, name: str, out: Path) -> None:
        self.name = name
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pysteps.train.services", name, str(out), str(PATIENCE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        os.set_blocking(self._pipe, False)

    def send(self, line: Mapping[str, Any]) -> None:
        """A line fits into the pipe whole or not at all (PIPE_BUF), and nobody waits for room."""
        try:
            os.write(self._pipe, json.dumps(line).encode() + b"\n")
        except BrokenPipeError:
            pass  # it has said why it went
        except BlockingIOError:
            said = f"{self.name} is hundreds of epochs behind: epoch {line.get('epoch')} is left out"
            print(f"train: {said}", file=sys.stderr)

    def end(self, well: bool) -> None:
        if well:
            self.send(CLOSE)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self) -> None:
        try:
            self._process.wait(PATIENCE + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
