# shellcheck shell=bash disable=SC2034
# TAL_CSASR: lessons of English teachers in Mandarin and English; speakers are taken from the recordings' names.
description="lessons of English teachers, Mandarin with English in it; speakers by the recordings' names"
hours=587 speakers="200+" size="63 GB" licence="see ai.100tal.com/dataset"
expected="nobody has published EERs on it"
caution="The owners publish no speakers: they are guessed from the recordings' names (egs/tal_csasr/README.md). Train on it; judge on others."

train_set=train dev_set=dev eval_sets=eval
audio=changed vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam
options="--vad.max_dropped 0.02"
