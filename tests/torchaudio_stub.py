"""torchaudio.compliance.kaldi beside a CPU-only torch, whose torchaudio extension cannot load."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


def kaldi() -> ModuleType:
    """torchaudio.compliance.kaldi: pure Python, so an empty stand-in for the extension is enough."""
    if "torchaudio" not in sys.modules:
        stub = ModuleType("torchaudio._extension")
        stub._IS_TORCHAUDIO_EXT_AVAILABLE = False  # type: ignore[attr-defined]
        stub.fail_if_no_align = lambda function: function  # type: ignore[attr-defined]
        sys.modules["torchaudio._extension"] = stub
    return importlib.import_module("torchaudio.compliance.kaldi")
