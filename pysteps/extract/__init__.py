"""Stage 7: x-vectors of whole utterances, each the one it would get alone."""
