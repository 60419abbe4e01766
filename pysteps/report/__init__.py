"""The page that says what came out, and its pictures."""

from __future__ import annotations

from .page import render

__all__ = ["render"]
