"""The stages, in order, and what each reads and writes: the one table of them."""

from __future__ import annotations

STAGES = {
    "prepare": "a raw corpus -> data/SET/{wav.scp,utt2spk,...,trials}",
    "audio": "wav.scp -> one sample rate, utterances cut, 16-bit archives, utt2dur",
    "vad": "audio -> vad.scp (frame decisions), utt2voiced",
    "augment": "the training set -> copies with noise, babble, rooms, speeds, codecs ...",
    "features": "audio, vad -> feats.scp, cmvn.scp, utt2num_frames, contract.json",
    "egs": "features or audio -> shuffled chunks of random length",
    "train": "egs -> exp/TAG: checkpoints, averaged model, curves",
    "extract": "features, model -> xvector.scp, spk_xvector.scp",
    "backend": "x-vectors -> centring, LDA, length norm, PLDA",
    "score": "x-vectors, trials -> scores, EER, minDCF, DET, report.html",
}
# Beside them: run when they are named, and never with others.
BESIDE = {
    "tune": "egs, features of the development set -> the best of many trainings (--space FILE)",
}
# Behind them: stages that a recipe has which names sets for them.
MORE = {
    "diarize": "whole recordings (diarize_sets) -> windows, x-vectors, RTTM, DER, JER",
}
