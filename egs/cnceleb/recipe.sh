# shellcheck shell=bash disable=SC2034
# CN-Celeb: Chinese celebrities in eleven genres; trained on CN-Celeb1 and 2, judged on the owners' evaluation set.
description="Chinese celebrities in 11 genres (interviews to singing): CN-Celeb1 and 2 to CN-Celeb's evaluation set"
hours=1356 speakers=2993 size="22 GB and CN-Celeb2" licence="CC BY-SA 4.0"
expected="EER 8.31 %, with AS-norm 7.64 % (WeSpeaker, ECAPA-TDNN of 512 channels)"
caution="Trials cross genres and many utterances are short: compare figures on this list only, and read them by genre."

train_set=train dev_set=dev eval_sets=eval
audio=changed vad=webrtc augment=live features=fbank80
egs=cnceleb models=ecapa512 train=aam backend=asnorm
# songs, plays and utterances of a second: VAD finds no speech in some
options="--audio.max_dropped 0.02 --vad.max_dropped 0.05"
