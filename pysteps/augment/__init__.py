"""Stage 3: copies of training speech with noise, music, babble and reverberation."""
