"""Timbre for those who only use a trained model: ``from timbre import SpeakerModel``. See docs/export.md.

The recipes and stages are the package ``pysteps``; this one is a door to its room ``export``.
"""

from __future__ import annotations

from pysteps.export.speaker import SpeakerModel
from pysteps.formats.errors import InputError

__all__ = ["InputError", "SpeakerModel"]
