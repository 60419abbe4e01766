# shellcheck shell=bash disable=SC2034
# The gender of a voice, learned on LibriTTS: stages as for speakers, spk2gender in their place.
description="LibriTTS: male or female, told for voices that training never heard"
hours=586 speakers=2456 licence="CC BY 4.0" size="84 GB packed"
expected="94 % on test-clean is the course work's that egs/libritts_gender/README.md begins with"
caution="Genders are the two that the corpus lists; nothing is known of voices that are neither."

prepare=libritts labels=spk2gender
train_set=train dev_set=dev eval_sets="test-clean test-other"
audio=16k vad=webrtc augment=none features=fbank80
egs=audio models=ecapa256 train=gender backend=gender
# sentences go down to a second and less
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
