"""Stage 4: audio to fbank, MFCC, PLP or spectrogram frames, normalisation and frame selection."""
