"""What can be set about a self-supervised front end. Imports no torch and no transformers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from ..formats.records import read_json

# model_type of transformers' config.json, and how its classes are called.
SSL_KINDS = {"hubert": "Hubert", "wav2vec2": "Wav2Vec2", "wavlm": "WavLM"}
# Of a config.json, what says nothing of the network.
_NOT_NETWORK = ("_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version")


@dataclass
class SslOptions:
    """folder: where the network lies as transformers saves it, config.json and model.safetensors; tuning:
    frozen, lora or full; tune_convolutions: with full, those under the transformer too; lora_rank,
    lora_alpha, lora_targets: of LoRA, its layers by name, none: the usual ones; backend: linear or ecapa;
    channels: width of the back end; frame_channels: of the frames that an ECAPA-TDNN gives; config: the
    content of config.json, read from the folder. A saved model has that and all weights, and needs no folder.
    """

    folder: str = ""
    tuning: str = "frozen"
    tune_convolutions: bool = False
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_targets: list[str] = field(default_factory=list)
    backend: str = "ecapa"
    channels: int = 512
    frame_channels: int = 1536
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in (("tuning", ("frozen", "lora", "full")), ("backend", ("linear", "ecapa"))):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} {getattr(self, name)!r}", mend=f"one of {', '.join(known)}")
        if min(self.lora_rank, self.lora_alpha, self.channels, self.frame_channels) < 1:
            raise InputError("lora_rank, lora_alpha, channels and frame_channels are 1 or more")
        if self.folder and not self.config:
            self.config = self._read(Path(self.folder))
        if self.config and self.config.get("model_type") not in SSL_KINDS:
            said = f"a network of type {self.config.get('model_type')!r}"
            raise InputError(said, where=self.folder, mend=f"one of {', '.join(SSL_KINDS)}")

    @staticmethod
    def _read(folder: Path) -> dict[str, Any]:
        mend = "models.network.folder: the folder of the network"
        config = read_json(folder / "config.json", "the network's config", mend)
        config = {key: value for key, value in config.items() if key not in _NOT_NETWORK}
        sound = folder / "preprocessor_config.json"
        if sound.is_file():
            asked = read_json(sound, "the network's preprocessor", mend).get("do_normalize")
            config.update({} if asked is None else {"do_normalize": asked})
        return config
