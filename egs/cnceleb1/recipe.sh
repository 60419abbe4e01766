# shellcheck shell=bash disable=SC2034
# CN-Celeb1 alone, a fifth of egs/cnceleb.
description="Chinese celebrities in 11 genres (interviews to singing): CN-Celeb1 alone"
hours=272 speakers=997 size="22 GB" licence="CC BY-SA 4.0"
expected="see cnceleb: what is published was trained on both"
caution="Trials cross genres and many utterances are short: compare figures on this list only, and read them by genre."

train_set=train dev_set=dev eval_sets=eval
audio=changed vad=webrtc augment=live features=fbank80
egs=cnceleb1 models=ecapa512 train=aam backend=asnorm
# songs, plays and utterances of a second: VAD finds no speech in some
options="--audio.max_dropped 0.02 --vad.max_dropped 0.05"
