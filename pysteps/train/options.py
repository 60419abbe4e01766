"""What can be set about training (conf/train/NAME.yaml). Imports no torch: the driver reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..formats.errors import InputError
from .line import check_loss
from .phases import phases_of

WANTED = "?"  # as init: must be given
# Options that may differ when a training goes on: they change no weight.
FREE = ("checkpoint_steps", "keep", "tensorboard", "wandb", "clearml", "device", "workers", "features_on")


@dataclass
class TrainOptions:
    """Loss, schedule, optimiser and upkeep of one training."""

    seed: int = 0
    """of the initial weights, the order of the chunks and SpecAugment"""
    init: str = ""
    """folder of a model, imported or trained: its weights are the first ones (fine-tuning), and those of its
    loss for the speakers that both have; '?' in a conf file: it must be given"""
    model: str = ""
    """folder of a model that is taken as it is, in place of training"""
    epochs: int = 40
    """how often all chunks are gone through"""
    phases: list[dict[str, Any]] = field(default_factory=list)
    """what comes after these epochs: a table a phase, of the options that are other ones there, as in
    [{epochs: 5, chunks: long, margin: 0.5, lr: 0.0001}]; see phases.py"""
    chunks: str = "train"
    """train, or long: the archives of --egs.long_seconds"""
    epoch_parts: int = 1
    """an epoch goes through one of so many parts of the archives, the next epoch through the next: where
    others call it an epoch to have taken one chunk of every utterance"""
    batch_size: int = 128
    """most chunks a step, over all processes; an archive is cut into batches of nearly one size"""
    accumulate: int = 1
    """parts that a step's chunks are computed in, one after the other, where memory is short"""
    freeze: list[str] = field(default_factory=list)
    """parts of the network that stay as they are, as encoder or encoder.layer1"""

    class_weights: str = "none"
    """none, or balanced: a chunk's loss counts N / (K n) of N chunks of K classes, n of its own, so that all
    classes weigh the same"""

    utterances_per_speaker: int = 0
    """chunks of each speaker (of each label, in recipes with labels) in a batch, which losses of pairs need:
    batch_size / this many speakers; 0: as they come"""

    loss: str = "aam"
    """the losses and their weights in one line, as in "aam subcentres=3 top=5 + 0.003 center"; docs/models.md
    has them all (aam, am, aproto, asoftmax, center, contrastive, ge2e, proto, ring, softmax, sphereface2,
    triplet)"""
    scale: float = 32.0
    """aam, am, sphereface2: what the cosines are multiplied with"""
    margin: float = 0.2
    """by which the own speaker is made harder. aam, sphereface2 type=A: an angle in radians; am, sphereface2:
    from the cosine; asoftmax: share of the multiplied angle's psi, 1 / (1 + lambda)"""
    margin_start_epoch: float = 4.0
    """the margin is 0 up to here"""
    margin_end_epoch: float = 12.0
    """and has its full size from here on"""
    margin_growth: str = "exponential"
    """how it rises in between: exponential (fast at first) or linear"""
    hidden_dim: int = 0
    """softmax: width of a hidden layer between x-vector and output; 0 is none"""

    optimiser: str = "sgd"
    """sgd (Nesterov momentum), adamw, or adam (weight decay in the gradient)"""
    lr: float = 0.1
    """learning rate after the warm-up"""
    final_lr: float = 0.0001
    """learning rate of the last step (step, plateau: the least; triangular2: of a cycle's ends)"""
    lr_batch: int = 0
    """the learning rates are for batches of this size and grow with batch_size; 0: they are as they stand"""
    warmup_epochs: float = 2.0
    """epochs in which the learning rate rises from 0 (onecycle: from lr / 25)"""
    schedule: str = "exponential"
    """exponential, cosine, onecycle, plateau, step or triangular2"""
    step_epochs: float = 10.0
    """step schedule: epochs between two falls; triangular2: epochs of a cycle"""
    step_factor: float = 0.1
    """step, plateau: what the rate is multiplied with at each fall"""
    plateau_patience: int = 2
    """plateau: a fall comes when more epochs than this brought nothing better (see patience)"""
    momentum: float = 0.9
    """of sgd"""
    weight_decay: float = 0.0001
    """of any optimiser, on all weights"""
    head_weight_decay: float = 0.0
    """of the loss's own weights; 0: the same as of the others"""
    clip_norm: float = 0.0
    """longest gradient; 0 is no limit"""

    precision: str = "fp32"
    """of the arithmetic: fp32, bf16, fp16 (on a GPU, with loss scaling), or auto: bf16 where it is fast"""
    compile: bool = False
    """translate the network with torch.compile first: a minute for the first step, then faster ones"""
    channels_last: bool = False
    """weights of two-dimensional convolutions with channels innermost, which GPUs like in 16 bits"""
    time_masks: int = 0
    """SpecAugment: spans of frames set to 0 in each chunk"""
    time_width: int = 10
    """SpecAugment: longest span in frames"""
    frequency_masks: int = 0
    """SpecAugment: spans of bins set to 0 in each chunk"""
    frequency_width: int = 8
    """SpecAugment: longest span in bins"""

    average: int = 5
    """the final model is the mean of the models after these many epochs"""
    average_of: str = "last"
    """which: the last ones, or the best ones (least dev EER or dev loss, else loss of held-out chunks)"""
    ema: float = 0.0
    """decay of a running mean of the weights, as 0.999, which is judged and kept in their place; 0 is none"""
    patience: int = 0
    """training (the phase) ends after these many epochs without a better dev EER (with labels dev loss, else
    loss of held-out chunks); 0: after all epochs"""
    checkpoint_steps: int = 500
    """steps between two checkpoints; one more at each epoch's end"""
    keep: int = 2
    """so many of these checkpoints stay"""
    threads: int = 2
    """CPU threads of each process; part of what decides the exact bits"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu or cuda"""
    workers: int = 0
    """processes (of each GPU's) that read and augment chunks; 0: a thread, enough for egs of features"""
    features_on: str = "cpu"
    """where egs of audio are augmented and become features: cpu, or device, the one that trains"""
    tensorboard: bool = False
    """also write the curves as TensorBoard events"""
    wandb: bool = False
    """also tell Weights & Biases; project: WANDB_PROJECT or timbre; nothing leaves with WANDB_MODE=offline"""
    clearml: bool = False
    """also tell ClearML; project: CLEARML_PROJECT or timbre; nothing leaves with CLEARML_OFFLINE_MODE=1"""

    def __post_init__(self) -> None:
        check_loss(self.loss, self.batch_size, self.utterances_per_speaker)
        if self.init == WANTED and self.model:
            self.init = ""
        if self.init and self.model:
            said = "init and model are both given: one begins a training, the other stands in its place"
            raise InputError(said, mend="--train.init '' or --train.model ''")
        if not 0 <= self.margin < 2:
            raise InputError(f"margin is {self.margin:g}", mend="--train.margin is 0 to below 2")
        if self.workers < 0:
            raise InputError(f"workers is {self.workers}", mend="--train.workers is 0 (a thread) or more")
        if self.features_on not in ("cpu", "device"):
            raise InputError(f"unknown features_on {self.features_on!r}; known: cpu, device")
        if self.features_on == "device" and self.workers:
            said = "features_on device: what workers are for is done by the device that trains"
            raise InputError(said, mend="--train.workers 0, or --train.features_on cpu")
        if self.precision not in ("fp32", "bf16", "fp16", "auto"):
            mend = "--train.precision fp32, bf16, fp16 or auto"
            raise InputError(f"unknown precision {self.precision!r}", mend=mend)
        if self.class_weights not in ("none", "balanced"):
            raise InputError(f"unknown class_weights {self.class_weights!r}; known: none, balanced")
        phases_of(self)


def check_init(options: TrainOptions) -> None:
    """InputError if a conf asks for a model to begin with and none is named."""
    if options.init == WANTED:
        said = "this conf goes on from a trained model, and none is named"
        raise InputError(said, mend="--train.init exp/TAG/model")


def deciding(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the ``options`` of training that decide the weights; trainings that were begun before there
    were class weights stay what they are."""
    unused = [*FREE, *(["class_weights"] if options.get("class_weights") == "none" else [])]
    return {key: value for key, value in options.items() if key not in unused}
