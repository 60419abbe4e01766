"""Who is it: a gallery of enrolled people, search in it, and how well that goes (no torch)."""

from __future__ import annotations

from .gallery import Gallery
from .rates import Probes, dir_at_far, judge, top_k
from .search import Found, Search
from .space import Space

__all__ = ["Found", "Gallery", "Probes", "Search", "Space", "dir_at_far", "judge", "top_k"]
