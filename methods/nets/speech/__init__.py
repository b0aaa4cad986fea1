"""A small speech encoder of the project's own, in the place of wav2vec 2.0 or HuBERT in the mini presets."""

from thbench_methods.nets.speech.encoder import SpeechEncoder, load_speech_encoder

__all__ = ["SpeechEncoder", "load_speech_encoder"]
