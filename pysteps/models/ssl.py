"""Self-supervised front ends (wav2vec 2.0, HuBERT, WavLM) under a linear or an ECAPA-TDNN back end.

Baevski et al., NeurIPS 2020 (arXiv:2006.11477); Hsu et al., TASLP 2021 (arXiv:2106.07447); Chen et al., JSTSP
2022 (arXiv:2110.13900). The frames of all layers are summed with learnt weights (Yang et al., SUPERB,
Interspeech 2021, section 3). The networks are transformers', read from a folder on this machine, as tensors
only: nothing is fetched and no code of the folder is run. Features are samples (conf/features/samples.yaml).
LoRA: Hu et al., ICLR 2022 (arXiv:2106.09685), by peft.
"""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ..formats.errors import InputError
from .architectures import EcapaOptions, SslOptions
from .ecapa import EcapaEncoder
from .options_ssl import SSL_KINDS

# What training would draw behind our back, from numpy's generator or per process.
_OFF = {"apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0}
_PLAIN = {"add_adapter": False}  # it stands behind the layers that are summed
# WavLM's attention reads the weights of its projections past the layers that LoRA would put there.
_TARGETS = {"wavlm": ["intermediate_dense", "output_dense"]}
_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")


def library(name: str) -> ModuleType:
    """transformers or peft; InputError where it is not installed."""
    mend = ". ./path.sh && pip install -r requirements/ssl.txt"
    # transformers imports torchaudio wherever it lies, and beside a CPU-only torch its extension cannot load.
    hidden = "torchaudio" not in sys.modules
    try:
        if hidden:
            sys.modules["torchaudio"] = None  # type: ignore[assignment]
        if name == "transformers":
            importlib.import_module("transformers.processing_utils")
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"an SSL front end needs {name}: {error}", mend=mend) from None
    finally:
        if hidden:
            del sys.modules["torchaudio"]


def front_end(config: dict[str, Any], folder: str) -> nn.Module:
    """The network that ``config`` (that of transformers) describes, with the weights of ``folder`` if any.

    InputError where a weight is missing. On the meta device no file is read.
    """
    transformers = library("transformers")
    name = SSL_KINDS[config["model_type"]]
    kind = getattr(transformers, f"{name}Model")
    settings = getattr(transformers, f"{name}Config").from_dict({**config, **_OFF, **_PLAIN})
    if not folder or torch.get_default_device().type == "meta":
        return kind(settings)
    if not (Path(folder) / "model.safetensors").is_file():
        mend = "save it with save_pretrained of transformers (one file, safetensors)"
        raise InputError("no model.safetensors", where=folder, mend=mend)
    transformers.logging.set_verbosity_error()  # what is missing is said below
    transformers.logging.disable_progress_bar()
    model, found = kind.from_pretrained(
        folder,
        config=settings,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    if missing := sorted(found["missing_keys"]):
        raise InputError(f"{len(missing)} weights are missing, {missing[0]} among them", where=folder)
    return model


class SslEncoder(nn.Module):
    """Samples [batch, time, hop], side by side, -> frames [batch, time', out_channels].

    ``stride``: the front end's hop (20 ms) in frames of the features. ``tuning``: with frozen the front end
    stays in evaluation mode. ``settled``: a saved model needs its configuration, not its folder.
    """

    trim = 0

    def __init__(self, options: SslOptions, feature_dim: int) -> None:
        super().__init__()
        if not options.config:
            mend = "--models.network.folder PATH, where config.json and model.safetensors lie"
            raise InputError("an SSL front end needs the folder of its network", mend=mend)
        self.settled = {"folder": ""}
        self.tuning = options.tuning
        config = dict(options.config)
        normalise = config.pop("do_normalize", None)
        self.front = front_end(config, options.folder)
        made: Any = self.front.config
        self.normalise = made.feat_extract_norm == "layer" if normalise is None else bool(normalise)
        hop = math.prod(made.conv_stride)
        if hop % feature_dim:
            said = f"the front end moves on by {hop} samples, a frame of the features holds {feature_dim}"
            raise InputError(said, mend="features of kind samples (conf/features/samples.yaml), shift 10 ms")
        self.stride = hop // feature_dim
        self._tune(options)
        self.layers = nn.Parameter(torch.zeros(made.num_hidden_layers + 1))
        if options.backend == "ecapa":
            sizes = EcapaOptions(channels=options.channels, frame_channels=options.frame_channels)
            self.backend: nn.Module = EcapaEncoder(sizes, made.hidden_size)
            self.out_channels, least = options.frame_channels, EcapaEncoder.min_frames
        else:
            self.backend = nn.Linear(made.hidden_size, options.channels)
            self.out_channels, least = options.channels, 2
        samples = least  # that give so many frames, from the last convolution to the first
        for kernel, stride in zip(reversed(made.conv_kernel), reversed(made.conv_stride), strict=True):
            samples = (samples - 1) * stride + kernel
        self.min_frames = -(-samples // feature_dim)

    def _tune(self, options: SslOptions) -> None:
        front: Any = self.front
        if options.tuning == "full":
            front.feature_extractor.requires_grad_(options.tune_convolutions)
            if front.config.do_stable_layer_norm:  # behind the last of the layers that are summed
                front.encoder.layer_norm.requires_grad_(False)
            return
        front.requires_grad_(False)
        if options.tuning == "lora":
            kind = front.config.model_type
            targets = options.lora_targets or _TARGETS.get(kind, ["q_proj", "v_proj"])
            if kind == "wavlm" and set(targets) & set(_ATTENTION):
                said = f"LoRA on {', '.join(targets)} has no effect in WavLM: its attention reads past it"
                raise InputError(said, mend=f"lora_targets: [{', '.join(_TARGETS[kind])}]")
            peft = library("peft")
            how = peft.LoraConfig(r=options.lora_rank, lora_alpha=options.lora_alpha, target_modules=targets)
            peft.inject_adapter_in_model(how, front)

    def train(self, mode: bool = True) -> SslEncoder:
        super().train(mode)
        if self.tuning == "frozen":
            self.front.eval()  # no dropout
        return self

    def forward(self, features: Tensor) -> Tensor:
        samples = features.flatten(1)
        if self.normalise:  # as the front end's training had it: the utterance's mean and deviation
            variance, mean = torch.var_mean(samples.float(), dim=1, correction=0, keepdim=True)
            samples = (samples - mean) / (variance + 1e-7).sqrt()
        states = self.front(samples, output_hidden_states=True).hidden_states
        shares = self.layers.softmax(0)
        frames = sum(share * state for share, state in zip(shares, states, strict=True))
        return self.backend(frames)
