# shellcheck shell=bash disable=SC2034
# MAGICDATA: 755 hours of Mandarin read into telephones; trials by rule.
description="read Mandarin from telephones: the owners' sets, trials by rule"
hours=755 speakers=1080 size="56 GB" licence="CC BY-NC-ND 4.0"
expected="nobody has published EERs on these trials"
caution="Most speakers have one day of recordings in a quiet room: EERs are optimistic; read them by session."

train_set=train dev_set=dev eval_sets=eval
audio=changed vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam
# commands of a second among the sentences
options="--vad.max_dropped 0.02"
