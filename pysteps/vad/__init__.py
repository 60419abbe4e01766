"""Stage 2: which frames are speech, decided frame for frame with the features' geometry."""
