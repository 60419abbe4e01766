"""Drawn chains carried out on many chunks at once, on a CPU or on the device that trains.

The same samples as ``draw.apply`` gives them one by one, to 1e-6 of full scale. On a CPU transforms are
scipy's, four chunks side by side (MKL's are three times slower on the AMD machines that we tried); on a
device they are all done at once. On a CPU a chunk's bits do not depend on the chunks that it is together
with: where the order of a sum or the end of a vector could tell, rows go one by one.

Speeds, noise, music, babble, rooms and volume are done so; the other effects (codecs, clipping, tempo) one by
one on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .draw import Chain, apply
from .effects import EFFECTS, Load
from .mix import direct_path, fitted, voices_together
from .speed import change_speed
from .speeds import Filter, fast_size, filter_of
from .speeds import length as changed_length

_ROWS = 4  # scipy's transforms are done so many at once
_WIDEST = 1 << 26  # samples that a device transforms at once: with what is made of them about 1 GB


class Together:
    """Carries out chains on the chunks of a batch; ``load`` and ``rate`` as of ``draw.apply``."""

    def __init__(self, load: Load, rate: int, device: torch.device | str = "cpu") -> None:
        self._load, self._rate, self.device = load, rate, torch.device(device)

    def __call__(self, chunks: Tensor, chains: Sequence[Chain]) -> list[Tensor]:
        """``chunks`` [chunk, time] float32 on the device, each after its chain of ``chains``: [time'] each.

        The chunks themselves are left as they are.
        """
        heard = list(chunks.unbind(0))
        for place in range(max(map(len, chains), default=0)):
            groups: dict[tuple[Any, ...], list[int]] = {}
            for row, chain in enumerate(chains):
                if place < len(chain):
                    how = chain[place]
                    length = 0 if how["kind"] in _ANY_LENGTH else len(heard[row])
                    same = (how["kind"], how.get("factor"), length)
                    groups.setdefault(same, []).append(row)
            for (kind, _, _), rows in groups.items():
                carry_out = _TOGETHER.get(kind, _one_by_one)
                steps = [chains[row][place] for row in rows]
                done = carry_out(self, [heard[row] for row in rows], steps)
                for row, signal in zip(rows, done, strict=True):
                    heard[row] = signal
        return heard

    def _on_device(self, samples: np.ndarray) -> Tensor:
        return torch.from_numpy(samples).to(self.device)

    def _speeds(self, signals: list[Tensor], steps: Sequence[Mapping[str, Any]]) -> list[Tensor]:
        return change_speeds(signals, steps[0]["factor"])

    def _rooms(self, signals: list[Tensor], steps: Sequence[Mapping[str, Any]]) -> list[Tensor]:
        measured = steps[0]["kind"] == "reverb"  # where its direct path is must be found
        pool = EFFECTS[steps[0]["kind"]].pool
        rooms = [self._load(pool, how["name"]) for how in steps]
        return reverberate(signals, [(room, direct_path(room) if measured else 0) for room in rooms])

    def _noise(self, signals: list[Tensor], steps: Sequence[Mapping[str, Any]]) -> list[Tensor]:
        time = len(signals[0])
        noises = np.empty((len(signals), time), np.float32)
        for noise, how in zip(noises, steps, strict=True):
            noise[:] = fitted(self._load(how["kind"], how["name"], how["fraction"], time), time)
        return add_noise(signals, self._on_device(noises), [how["snr_db"] for how in steps])

    def _babble(self, signals: list[Tensor], steps: Sequence[Mapping[str, Any]]) -> list[Tensor]:
        time = len(signals[0])
        noises = np.empty((len(signals), time), np.float32)
        for noise, how in zip(noises, steps, strict=True):
            drawn = how["voices"]
            voices = [self._load("speech", voice["name"], voice["fraction"], time) for voice in drawn]
            noise[:] = voices_together(voices, [0] * len(voices), time)(0, time)
        return add_noise(signals, self._on_device(noises), [how["snr_db"] for how in steps])

    def _volume(self, signals: list[Tensor], steps: Sequence[Mapping[str, Any]]) -> list[Tensor]:
        return [signal * 10 ** (how["gain_db"] / 20) for signal, how in zip(signals, steps, strict=True)]

    def _alone(self, signals: list[Tensor], steps: Sequence[Mapping[str, Any]]) -> list[Tensor]:
        return [
            self._on_device(apply(signal.cpu().numpy(), [how], self._load, self._rate))
            for signal, how in zip(signals, steps, strict=True)
        ]


_Carry = Callable[[Together, list[Tensor], Sequence[Mapping[str, Any]]], list[Tensor]]
_one_by_one: _Carry = Together._alone
_TOGETHER: dict[str, _Carry] = {
    "speed": Together._speeds,
    "reverb": Together._rooms,
    "room": Together._rooms,
    "noise": Together._noise,
    "music": Together._noise,
    "babble": Together._babble,
    "volume": Together._volume,
}
_ANY_LENGTH = ("reverb", "room")  # chunks of different lengths are done together


def change_speeds(signals: Sequence[Tensor], factor: float) -> list[Tensor]:
    """``signals`` of equal length played ``factor`` times as fast: ``speed.change_speed`` of each."""
    time = len(signals[0])
    speed = filter_of(factor, time)
    if speed is None:
        alone = (change_speed(signal.cpu().numpy(), factor) for signal in signals)
        return [torch.from_numpy(changed).to(signals[0].device) for changed in alone]
    response, head = _tables(speed, signals[0].device)
    kept, made = len(response), changed_length(factor, time)
    done: list[Tensor] = []
    for first, last in _turns(len(signals), max(speed.size, speed.into), signals[0]):
        dry = _stacked(signals[first:last], speed.size, transformed=True)
        spectra = dry.new_empty((len(dry), speed.into // 2 + 1), dtype=torch.complex64)
        for row, spectrum in zip(spectra, _rfft(dry), strict=True):
            torch.mul(spectrum[:kept], response, out=row[:kept])
        spectra[:, kept:] = 0
        changed = _irfft(spectra, speed.into)[:, :made]
        for row, start in zip(changed, dry, strict=True):
            row[: head.shape[1]] += (start[: len(head), None] * head).sum(0)
        done += changed[: last - first].unbind(0)
    return done


def reverberate(signals: Sequence[Tensor], rooms: Sequence[tuple[np.ndarray, int]]) -> list[Tensor]:
    """``signals``, each in its room (impulse response and sample of the direct path): ``mix.reverberate``."""
    lengths = [len(signal) for signal in signals]
    # What is further behind the direct path than the speech is long meets no speech.
    pairs = zip(rooms, lengths, strict=True)
    rooms = [(room[: direct + length], direct) for (room, direct), length in pairs]
    sizes = [fast_size(length + len(room) - 1) for (room, _), length in zip(rooms, lengths, strict=True)]
    done = list(signals)
    for size in sorted(set(sizes)):
        rows = [row for row, own in enumerate(sizes) if own == size]
        for first, last in _turns(len(rows), size, signals[0]):
            turn = rows[first:last]
            dry = _stacked([signals[row] for row in turn], size, transformed=True)
            responses = np.zeros((len(dry), size), np.float32)
            for response, row in zip(responses, turn, strict=False):
                heard, direct = rooms[row]
                response[: len(heard) - direct] = heard[direct:]
                response[size - direct :] = heard[:direct]  # before time 0
            spectra, answers = _rfft(dry), _rfft(torch.from_numpy(responses).to(dry.device))
            for spectrum, answer in zip(spectra, answers, strict=True):
                spectrum.mul_(answer)
            whole = _irfft(spectra, size)
            wet = [signal[: lengths[row]] for signal, row in zip(whole, turn, strict=False)]
            gains = _ratios(_powers([signals[row] for row in turn]), _powers(wet))
            for row, signal, gain in zip(turn, wet, gains, strict=True):
                done[row] = signal.mul_(gain)
    return done


def add_noise(signals: Sequence[Tensor], noises: Tensor, snr_db: Sequence[float]) -> list[Tensor]:
    """``signals`` of equal length, each with its own of ``noises`` [signal, time]: ``mix.add_noise``."""
    done: list[Tensor] = []
    gains = torch.tensor([10 ** (-ratio / 20) for ratio in snr_db], device=noises.device)
    for first, last in _turns(len(signals), noises.shape[1], noises):
        mixed, noise = _stacked(signals[first:last], noises.shape[1]), noises[first:last]
        # Silent noise adds nothing, and to silent speech nothing is added.
        loudness = _ratios(_powers(mixed), _powers(noise), silent=0.0) * gains[first:last]
        done += mixed.addcmul_(noise, loudness[:, None]).unbind(0)
    return done


@lru_cache(maxsize=128)
def _tables(speed: Filter, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(speed.response).to(device), torch.from_numpy(speed.head).to(device)


def _turns(count: int, size: int, like: Tensor) -> list[tuple[int, int]]:
    # [first, last) of the signals that are transformed at once.
    rows = _ROWS if like.device.type == "cpu" else max(1, _WIDEST // size)
    return [(first, min(first + rows, count)) for first in range(0, count, rows)]


def _stacked(signals: Sequence[Tensor], size: int, transformed: bool = False) -> Tensor:
    # Rows [signals, size], zeros behind the signals; where they are ``transformed`` on a CPU there are four,
    # which are faster than two and three.
    fill = transformed and signals[0].device.type == "cpu" and 1 < len(signals) < _ROWS
    rows = signals[0].new_empty((_ROWS if fill else len(signals), size))
    for row, signal in zip(rows, signals, strict=False):
        row[: len(signal)] = signal
        row[len(signal) :] = 0
    rows[len(signals) :] = 0
    return rows


def _powers(signals: Sequence[Tensor] | Tensor) -> Tensor:
    # Sums of squares.
    if isinstance(signals, Tensor) and signals.device.type != "cpu":
        return (signals * signals).sum(-1)
    # Each row on its own, so that its bits are its own.
    return torch.stack([(signal * signal).sum() for signal in signals])


def _ratios(wanted: Tensor, found: Tensor, silent: float = 1.0) -> Tensor:
    # What makes signals of the powers ``found`` as loud as ``wanted``; ``silent`` where one of them is 0.
    heard = (wanted > 0) & (found > 0)
    return torch.where(heard, (wanted / found.clamp(min=1e-30)).sqrt(), silent)


def _rfft(signals: Tensor) -> Tensor:
    if signals.device.type != "cpu":
        return torch.fft.rfft(signals)
    from scipy import fft

    return torch.from_numpy(fft.rfft(signals.numpy()))


def _irfft(spectra: Tensor, size: int) -> Tensor:
    if spectra.device.type != "cpu":
        return torch.fft.irfft(spectra, size)
    from scipy import fft

    return torch.from_numpy(fft.irfft(spectra.numpy(), size, overwrite_x=True))
