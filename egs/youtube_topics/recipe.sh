# shellcheck shell=bash disable=SC2034
# The topic of a video, told by its sound: a CNN on mel-spectrograms, or wav2vec 2.0 fine-tuned (README.md).
description="YouTube videos of four topics, 109 of each: which topic a video is of, by its sound"
hours="up to 36" speakers="436 videos" licence="each video's own"
expected="accuracy 63.6 % (wav2vec2) and 49 % (CNN), published: see egs/youtube_topics/README.md"
caution="A video is judged as one: with 44 of them an accuracy is known to some 14 points."

prepare=youtube labels=utt2topic
train_set=train dev_set=dev eval_sets=eval
# music and noise tell topics too: no frame is dropped for having no voice
audio=16k vad=none augment=none features=logmel128
egs=topics models=cnn train=topics backend=topics
options="--prepare.choices.each 109 --audio.max_dropped 0.05 --score.vote speaker"
