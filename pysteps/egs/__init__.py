"""Stage 5: shuffled chunks for training; one length an archive, the lengths drawn at random."""
