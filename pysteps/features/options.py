"""What the features are: every number that changes them, in one place without torch.

The defaults are Kaldi's for fbank with 80 bins. These options are the feature contract: they are
written with the features and compared when a model is applied.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..formats.errors import InputError
from ..formats.frames import FrameGeometry

KINDS = ("fbank", "mfcc")
WINDOWS = ("povey", "hamming", "hanning", "rectangular", "blackman")


@dataclass(frozen=True)
class FbankOptions:
    """Kaldi's options for fbank and MFCC (compute-fbank-feats, compute-mfcc-feats), in its words.

    Samples in [-1, 1) are multiplied by ``sample_scale`` (32768: Kaldi's 16-bit range) first, so
    ``dither`` and ``energy_floor`` are in that range. ``high_freq`` and ``vtln_high`` count from the
    Nyquist frequency when not positive. ``use_energy`` adds the frame's log energy to an fbank and
    puts it in the place of C0 in an MFCC (Kaldi's MFCC default is true). ``num_ceps`` and
    ``cepstral_lifter`` matter to MFCC only, ``use_log_fbank`` and ``use_power`` to fbank only. ``htk_compat``
    puts energy or C0 last, as HTK does; ``htk_mode`` repeats HTK's lowest mel filter, which lacks a bin.
    """

    kind: str = "fbank"
    sample_rate: int = 16000
    sample_scale: float = 32768.0
    frame_length_ms: float = 25.0
    frame_shift_ms: float = 10.0
    snip_edges: bool = True
    round_to_power_of_two: bool = True
    dither: float = 0.0
    remove_dc_offset: bool = True
    preemphasis: float = 0.97
    window_type: str = "povey"
    blackman_coeff: float = 0.42
    num_mel_bins: int = 80
    low_freq: float = 20.0
    high_freq: float = 0.0
    vtln_warp: float = 1.0
    vtln_low: float = 100.0
    vtln_high: float = -500.0
    use_power: bool = True
    use_log_fbank: bool = True
    use_energy: bool = False
    raw_energy: bool = True
    energy_floor: float = 0.0
    num_ceps: int = 13
    cepstral_lifter: float = 22.0
    htk_compat: bool = False
    htk_mode: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"unknown feature kind {self.kind!r}", mend=f"one of {', '.join(KINDS)}")
        if self.window_type not in WINDOWS:
            raise InputError(f"unknown window {self.window_type!r}", mend=f"one of {', '.join(WINDOWS)}")
        if self.sample_rate <= 0 or self.sample_scale <= 0:
            raise InputError("sample_rate and sample_scale must be positive")
        if not 0.0 <= self.preemphasis <= 1.0:
            raise InputError(f"preemphasis {self.preemphasis} is outside 0 to 1")
        if self.dither < 0 or self.energy_floor < 0:
            raise InputError("dither and energy_floor must not be negative")
        self._check_bands()

    def _check_bands(self) -> None:
        nyquist, high = self.sample_rate / 2, self.high_hz
        if not 0.0 <= self.low_freq < high <= nyquist:
            raise InputError(
                f"mel bins from {self.low_freq} to {high} Hz do not fit below {nyquist} Hz",
                mend="set low_freq and high_freq",
            )
        if self.num_mel_bins < 3:
            raise InputError(f"{self.num_mel_bins} mel bins: at least 3 are needed")
        if self.kind == "mfcc" and not 1 <= self.num_ceps <= self.num_mel_bins:
            raise InputError(f"num_ceps {self.num_ceps} is outside 1 to num_mel_bins {self.num_mel_bins}")
        warped = self.low_freq < self.vtln_low < self.vtln_high_hz < high
        if self.vtln_warp != 1.0 and (self.vtln_warp <= 0 or not warped):
            raise InputError(
                f"VTLN warp {self.vtln_warp} between {self.vtln_low} and {self.vtln_high_hz} Hz",
                mend=f"a positive warp, edges between {self.low_freq} and {high} Hz",
            )
        if self.frame_length < 2 or self.fft_length % 2:
            raise InputError(f"an FFT of {self.fft_length} samples", mend="round_to_power_of_two: true")

    @property
    def geometry(self) -> FrameGeometry:
        """The frame geometry that VAD must share."""
        return FrameGeometry(self.frame_length_ms, self.frame_shift_ms, self.snip_edges)

    @property
    def frame_length(self) -> int:
        """Samples in a frame."""
        return self.geometry.length(self.sample_rate)

    @property
    def frame_shift(self) -> int:
        """Samples from one frame to the next."""
        return self.geometry.shift(self.sample_rate)

    @property
    def fft_length(self) -> int:
        """Samples in the zero-padded frame that is transformed."""
        length = self.frame_length
        return 1 << (length - 1).bit_length() if self.round_to_power_of_two else length

    @property
    def high_hz(self) -> float:
        """Upper edge of the mel bins in Hz."""
        return self.high_freq if self.high_freq > 0 else self.sample_rate / 2 + self.high_freq

    @property
    def vtln_high_hz(self) -> float:
        """Upper inflection point of the VTLN warp in Hz."""
        return self.vtln_high if self.vtln_high > 0 else self.sample_rate / 2 + self.vtln_high

    @property
    def dim(self) -> int:
        """Numbers in one frame's feature vector."""
        return self.num_ceps if self.kind == "mfcc" else self.num_mel_bins + int(self.use_energy)
