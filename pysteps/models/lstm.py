"""LSTM networks: three layers with a projection, and the last frame for the d-vector (Heigold et al.,
"End-to-end text-dependent speaker verification", ICASSP 2016; Wan et al., "Generalized end-to-end loss for
speaker verification", ICASSP 2018), or attention over all frames (Chowdhury et al., "Attention-based models
for text-dependent speaker verification", ICASSP 2018: pooling ``sap``).

The linear layer behind is the projector. The papers have 40 features a frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .architectures import LstmOptions, NoOptions


class LstmEncoder(nn.Module):
    """Frames [batch, time, feature] -> [batch, time, projection, or hidden without one]."""

    trim, stride = 0, 1
    min_frames = 1

    def __init__(self, options: LstmOptions, feature_dim: int) -> None:
        super().__init__()
        self.out_channels = options.projection or options.hidden
        self.lstm = nn.LSTM(
            feature_dim, options.hidden, options.layers, batch_first=True, proj_size=options.projection
        )

    def forward(self, features: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return self.written_out(features)
        frames: Tensor = self.lstm(features)[0]
        return frames

    def written_out(self, frames: Tensor) -> Tensor:
        """The same in plain operations and a scan over time: torch's own LSTM is exported for one length."""
        for layer in range(self.lstm.num_layers):
            frames = self.one_layer(frames, layer)
        return frames

    def one_layer(self, frames: Tensor, layer: int) -> Tensor:
        from torch._higher_order_ops.scan import scan

        of_frame, of_state, bias, other_bias = (
            getattr(self.lstm, f"{name}_l{layer}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        projection = getattr(self.lstm, f"weight_hr_l{layer}") if self.lstm.proj_size else None

        def step(state: tuple[Tensor, Tensor], given: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
            output, cell = state
            enter, keep, new, show = (given + F.linear(output, of_state)).chunk(4, dim=-1)
            cell = torch.sigmoid(keep) * cell + torch.sigmoid(enter) * torch.tanh(new)
            output = torch.sigmoid(show) * torch.tanh(cell)
            if projection is not None:
                output = F.linear(output, projection)
            return (output, cell), output.clone()

        gates = F.linear(frames, of_frame, bias + other_bias).transpose(0, 1)
        batch = frames.shape[0]  # len() would make a constant of it
        start = (
            frames.new_zeros(batch, self.out_channels),
            frames.new_zeros(batch, self.lstm.hidden_size),
        )
        return scan(step, start, gates)[1].transpose(0, 1)


class LastFramePooling(nn.Module):
    """The last frame, which has seen all others in a recurrent network: [batch, channels]."""

    def __init__(self, options: NoOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = channels

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels]; ``weights`` [batch, time] (>= 0, not all 0) or None: the last
        frame is then the last one that counts at all."""
        if weights is None:
            return frames[:, -1].float()
        places = torch.arange(frames.shape[1], device=frames.device)
        last = ((weights > 0) * places).amax(dim=1)
        return frames.gather(1, last.view(-1, 1, 1).expand(-1, 1, frames.shape[2])).squeeze(1).float()
