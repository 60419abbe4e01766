"""What the features are: every number that changes them, in one place without torch.

The defaults are Kaldi's for fbank with 80 bins. These options are the feature contract: they are
written with the features and compared when a model is applied.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..formats.errors import InputError
from ..formats.frames import FrameGeometry

KINDS = ("fbank", "mfcc", "plp", "spectrogram", "samples")
WINDOWS = ("povey", "hamming", "hanning", "rectangular", "blackman")
SLOPES = ("mel", "hertz", "hertz_even")


@dataclass(frozen=True)
class FbankOptions:
    """Kaldi's options for its features (compute-{fbank,mfcc,plp,spectrogram}-feats), in its words.

    Samples in [-1, 1) are multiplied by ``sample_scale`` (32768: Kaldi's 16-bit range) first, so
    ``dither`` and ``energy_floor`` are in that range. ``high_freq`` and ``vtln_high`` count from the
    Nyquist frequency when not positive. ``use_energy`` adds the frame's log energy to an fbank and puts
    it in the place of C0 (MFCC, PLP) or of bin 0 (spectrogram); Kaldi's default is true for these three.
    ``num_ceps`` and ``cepstral_lifter`` matter to MFCC and PLP, ``lpc_order``, ``compress_factor`` and
    ``cepstral_scale`` to PLP, ``use_log_fbank`` (logarithm or plain) and ``use_power`` (power or magnitude)
    to fbank and spectrogram. ``htk_compat`` puts energy or C0 last, as HTK does; ``htk_mode`` repeats
    HTK's lowest mel filter, which lacks a bin. ``delta_order`` appends slopes over ``delta_window`` frames
    to each side (Kaldi's add-deltas).

    Not Kaldi's, for mel-spectrograms as torchaudio.transforms.MelSpectrogram makes them: ``fft_size``
    (points of the FFT, 0: from the frame length), ``periodic_window``, ``mel_slopes`` (filters that are
    triangles in mel, as Kaldi's, or in hertz; hertz_even: with the upper slope as steep as the lower one, as
    SpeechBrain's) and ``log_offset`` (added before the logarithm, in the place of Kaldi's floor).

    Nor is the kind ``samples``, without any analysis: a frame is the ``frame_shift`` samples in its middle,
    so the frames of a stretch, side by side, are its waveform. Where VAD takes frames out, what is left
    follows on without a fade, and a network hears a jump; --vad.method none leaves the waveform whole.
    """

    kind: str = "fbank"
    sample_rate: int = 16000
    sample_scale: float = 32768.0
    frame_length_ms: float = 25.0
    frame_shift_ms: float = 10.0
    snip_edges: bool = True
    round_to_power_of_two: bool = True
    fft_size: int = 0
    dither: float = 0.0
    remove_dc_offset: bool = True
    preemphasis: float = 0.97
    window_type: str = "povey"
    periodic_window: bool = False
    blackman_coeff: float = 0.42
    num_mel_bins: int = 80
    low_freq: float = 20.0
    high_freq: float = 0.0
    mel_slopes: str = "mel"
    vtln_warp: float = 1.0
    vtln_low: float = 100.0
    vtln_high: float = -500.0
    use_power: bool = True
    use_log_fbank: bool = True
    log_offset: float = 0.0
    use_energy: bool = False
    raw_energy: bool = True
    energy_floor: float = 0.0
    num_ceps: int = 13
    cepstral_lifter: float = 22.0
    lpc_order: int = 12
    compress_factor: float = 0.33333
    cepstral_scale: float = 1.0
    htk_compat: bool = False
    htk_mode: bool = False
    delta_order: int = 0
    delta_window: int = 2

    def __post_init__(self) -> None:
        for value, known, what in (
            (self.kind, KINDS, "feature kind"),
            (self.window_type, WINDOWS, "window"),
            (self.mel_slopes, SLOPES, "mel_slopes"),
        ):
            if value not in known:
                raise InputError(f"unknown {what} {value!r}", mend=f"one of {', '.join(known)}")
        if self.sample_rate <= 0 or self.sample_scale <= 0:
            raise InputError("sample_rate and sample_scale must be positive")
        if not 0.0 <= self.preemphasis <= 1.0:
            raise InputError(f"preemphasis {self.preemphasis} is outside 0 to 1")
        if min(self.dither, self.energy_floor, self.log_offset) < 0:
            raise InputError("dither, energy_floor and log_offset must not be negative")
        if not 0 <= self.delta_order <= 2 or self.delta_window < 1:
            raise InputError(
                f"deltas of order {self.delta_order} over a window of {self.delta_window}",
                mend="an order of 0, 1 or 2, a window of at least 1",
            )
        if self.frame_length < 2 or self.fft_length % 2 or self.fft_length < self.frame_length:
            raise InputError(
                f"an FFT of {self.fft_length} samples for a frame of {self.frame_length}",
                mend="an even fft_size that holds the frame, or 0 and round_to_power_of_two: true",
            )
        if self.kind == "samples":
            self._check_samples()
        elif self.kind != "spectrogram":
            self._check_bands()
        self._check_cepstra()

    def _check_bands(self) -> None:
        nyquist, high = self.sample_rate / 2, self.high_hz
        if not 0.0 <= self.low_freq < high <= nyquist:
            raise InputError(
                f"mel bins from {self.low_freq} to {high} Hz do not fit below {nyquist} Hz",
                mend="set low_freq and high_freq",
            )
        if self.num_mel_bins < 3:
            raise InputError(f"{self.num_mel_bins} mel bins: at least 3 are needed")
        warped = self.low_freq < self.vtln_low < self.vtln_high_hz < high
        if self.vtln_warp != 1.0 and (self.vtln_warp <= 0 or not warped):
            raise InputError(
                f"VTLN warp {self.vtln_warp} between {self.vtln_low} and {self.vtln_high_hz} Hz",
                mend=f"a positive warp, edges between {self.low_freq} and {high} Hz",
            )

    def _check_samples(self) -> None:
        if self.frame_shift > self.frame_length or self.use_energy or self.delta_order:
            said = f"samples with a shift of {self.frame_shift} samples in frames of {self.frame_length}"
            mend = "a shift within the frame, and neither use_energy nor delta_order"
            raise InputError(said, mend=mend)

    def _check_cepstra(self) -> None:
        most = {"mfcc": self.num_mel_bins, "plp": self.lpc_order + 1}.get(self.kind, self.num_ceps)
        if not 1 <= self.num_ceps <= most:
            raise InputError(
                f"num_ceps {self.num_ceps} is outside 1 to {most}",
                mend="raise num_mel_bins (mfcc) or lpc_order (plp)",
            )
        if self.kind == "plp" and not (1 <= self.lpc_order <= self.num_mel_bins and self.compress_factor > 0):
            raise InputError(
                f"PLP of lpc_order {self.lpc_order}, compress_factor {self.compress_factor}",
                mend="Kaldi's are 12 and 0.33333",
            )

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
        if self.fft_size:
            return self.fft_size
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
    def cepstral(self) -> bool:
        """Whether the features are cepstra."""
        return self.kind in ("mfcc", "plp")

    @property
    def static_dim(self) -> int:
        """Numbers in one frame's feature vector before deltas."""
        if self.kind == "samples":
            return self.frame_shift
        if self.kind == "spectrogram":
            return self.fft_length // 2 + 1
        return self.num_ceps if self.cepstral else self.num_mel_bins + int(self.use_energy)

    @property
    def dim(self) -> int:
        """Numbers in one frame's feature vector."""
        return self.static_dim * (self.delta_order + 1)
