"""Stage 1: audio files of any rate and format to samples of one rate."""
