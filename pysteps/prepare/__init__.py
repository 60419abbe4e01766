"""Stage 0: a raw corpus becomes data directories, checked and mended."""
