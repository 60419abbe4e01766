# shellcheck shell=bash disable=SC2034
# aidatatang_200zh: 200 hours of Mandarin read into telephones; trials by rule.
description="read Mandarin from telephones: the owners' sets, trials by rule"
hours=200 speakers=600 size="19 GB" licence="CC BY-NC-ND 4.0"
expected="nobody has published EERs on these trials"
caution="A speaker has one session in a quiet room: EERs are optimistic."

train_set=train dev_set=dev eval_sets=eval
audio=changed vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam
# commands of a second among the sentences
options="--vad.max_dropped 0.02"
