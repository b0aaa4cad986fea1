"""Video and audio in and out; the one place that knows PyAV."""

from thbench.media._container import decoder_version
from thbench.media.audio import RESAMPLER, SAMPLE_RATE, iter_audio, read_audio
from thbench.media.errors import NoAudioError
from thbench.media.frames import TimedFrame, read_frames
from thbench.media.info import VideoInfo, probe
from thbench.media.remux import HiddenFramesError, remux
from thbench.media.writer import VideoWriter, write_video

__all__ = [
    "RESAMPLER",
    "SAMPLE_RATE",
    "HiddenFramesError",
    "NoAudioError",
    "TimedFrame",
    "VideoInfo",
    "VideoWriter",
    "decoder_version",
    "iter_audio",
    "probe",
    "read_audio",
    "read_frames",
    "remux",
    "write_video",
]
