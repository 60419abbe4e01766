"""What can be set about training (conf/train/NAME.yaml). Imports no torch: the driver reads it."""

from __future__ import annotations

from dataclasses import dataclass

# Options that may differ when a training goes on: they change no weight.
FREE = ("checkpoint_steps", "tensorboard", "device")


@dataclass
class TrainOptions:
    """Loss, schedule, optimiser and upkeep of one training."""

    seed: int = 0
    """of the initial weights, the order of the chunks and SpecAugment"""
    epochs: int = 40
    """how often all chunks are gone through"""
    batch_size: int = 128
    """most chunks a step, over all processes; an archive is cut into batches of nearly one size"""

    loss: str = "aam"
    """aam (additive angular margin) or softmax"""
    scale: float = 32.0
    """aam: what the cosines are multiplied with"""
    margin: float = 0.2
    """aam: the angle, in radians, by which the own speaker is made harder"""
    margin_start_epoch: float = 4.0
    """the margin is 0 up to here"""
    margin_end_epoch: float = 12.0
    """and has its full size from here on"""
    margin_growth: str = "exponential"
    """how it rises in between: exponential (fast at first) or linear"""
    hidden_dim: int = 0
    """softmax: width of a hidden layer between x-vector and output; 0 is none"""

    optimiser: str = "sgd"
    """sgd (Nesterov momentum) or adamw"""
    lr: float = 0.1
    """learning rate after the warm-up"""
    final_lr: float = 0.0001
    """learning rate of the last step (step schedule: the least)"""
    warmup_epochs: float = 2.0
    """epochs in which the learning rate rises from 0"""
    schedule: str = "exponential"
    """exponential, cosine or step"""
    step_epochs: float = 10.0
    """step schedule: epochs between two falls"""
    step_factor: float = 0.1
    """step schedule: what the rate is multiplied with at each fall"""
    momentum: float = 0.9
    """of sgd"""
    weight_decay: float = 0.0001
    """of either optimiser, on all weights"""
    clip_norm: float = 0.0
    """longest gradient; 0 is no limit"""

    precision: str = "fp32"
    """of the arithmetic: fp32, bf16, fp16 (on a GPU, with loss scaling), or auto: bf16 where it is fast"""
    time_masks: int = 0
    """SpecAugment: spans of frames set to 0 in each chunk"""
    time_width: int = 10
    """SpecAugment: longest span in frames"""
    frequency_masks: int = 0
    """SpecAugment: spans of bins set to 0 in each chunk"""
    frequency_width: int = 8
    """SpecAugment: longest span in bins"""

    average: int = 5
    """the final model is the mean of the models after these many last epochs"""
    checkpoint_steps: int = 500
    """steps between two checkpoints; one more at each epoch's end"""
    threads: int = 2
    """CPU threads of each process; part of what decides the exact bits"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu or cuda"""
    tensorboard: bool = False
    """also write the curves as TensorBoard events"""
