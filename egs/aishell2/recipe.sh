# shellcheck shell=bash disable=SC2034
# AISHELL-2: a thousand hours of read Mandarin from telephones; trials of its 15 development and test speakers by rule.
description="read Mandarin from telephones (iOS); trials by rule of the owners' dev and test, on three devices"
hours=1000 speakers=2006 licence="research only, on application"
expected="nobody has published EERs on these trials"
caution="15 speakers, one session each: EERs are optimistic and their intervals wide. trials.device changes the microphone."

train_set=train dev_set=dev eval_sets=eval
audio=changed vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam
# commands of a second among the sentences
options="--vad.max_dropped 0.02"
