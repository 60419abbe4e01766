"""torch.export files (.pt2), checked before they are written."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from ..formats.atomic import replacing
from ..formats.errors import InputError
from .engines import META
from .graphs import TOLERANCE, Loaded, difference, reference, trials, whole_program


def export_torch(loaded: Loaded, out: Path, audio: Sequence[str | Path] = ()) -> dict[str, float]:
    """Write ``out`` for torch.export.load, and return how far its x-vectors are from the model's.

    Its extra file ``timbre`` is what an ONNX file says of itself. InputError, and no file, if an x-vector is
    farther away than 1e-4 of its length.
    """
    buffer = io.BytesIO()
    meta = json.dumps({**loaded.meta("fp32"), "outputs": ["xvector"]}, sort_keys=True, ensure_ascii=False)
    torch.export.save(whole_program(loaded), buffer, extra_files={META: meta})
    buffer.seek(0)
    again, found = torch.export.load(buffer).module(), {}
    for name, inputs in trials(loaded, audio):
        with torch.inference_mode():
            found[name] = difference(reference(loaded, inputs), again(*inputs).numpy())
    worst = max(found, key=lambda name: found[name])
    if not found[worst] <= TOLERANCE:
        said = f"the exported x-vector differs by {found[worst]:.1e} of its length on {worst}"
        raise InputError(f"{said}: nothing was written", where=out)
    with replacing(out, "wb") as handle:
        handle.write(buffer.getvalue())
    return found
