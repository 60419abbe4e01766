"""Stage 4: audio to fbank or MFCC frames, cepstral mean normalisation and frame selection."""
