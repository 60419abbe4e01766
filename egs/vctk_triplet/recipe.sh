# shellcheck shell=bash disable=SC2034
# VCTK's speakers by a CNN on mel-spectrograms and triplets, hard ones or, as published, random ones (README.md).
description="VCTK 0.92: mel-spectrograms, a CNN and triplet loss; random triplets against hard ones"
hours=44 speakers=110 licence="CC BY 4.0" size="12 GB packed"
expected="published: loss 0.408 to 0.043 in 20 epochs, cosine 0.97-0.99 of one speaker, 0.86 of two"
caution="Few speakers, one session each, one studio: EERs are optimistic and their intervals wide."

prepare=vctk
train_set=train dev_set=dev eval_sets=eval
audio=16k vad=webrtc augment=none features=melspec128
egs=librispeech models=cnn train=triplet_hard
# sentences last three seconds, some one
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
