# shellcheck shell=bash disable=SC2034
# LibriTTS: LibriSpeech's books again at 24 kHz, cut at sentences and without the noisy ones.
description="LibriTTS, 24 kHz: trained on its 555 h, judged on test-clean and test-other"
hours=586 speakers=2456 licence="CC BY 4.0" expected="none known for these trials" size="84 GB packed"
caution="Trials are generated; a speaker's chapters are mostly of one book, room and microphone, so EERs are optimistic."

train_set=train dev_set=dev eval_sets="test-clean test-other"
audio=16k vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam
# sentences go down to a second and less
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
