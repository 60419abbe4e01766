"""Who spoke when: speech in windows, x-vectors of windows in clusters, turns in RTTM (no torch)."""
