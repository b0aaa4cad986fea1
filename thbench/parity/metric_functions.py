"""Adapters of the functions that metrics use: fixture to outputs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thbench.backbones import mfcc as mfcc_function

if TYPE_CHECKING:
    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


def mfcc(fixture: Fixture) -> Outputs:
    """`metrics.mfcc`: coefficients of each input and of a sine, and the stages before them."""
    config = fixture.config
    settings = mfcc_function.MfccSettings(
        rate=config["samplerate"],
        window=config["winlen"],
        step=config["winstep"],
        coefficients=config["numcep"],
        filters=config["nfilt"],
        fft=config["nfft"],
        low=config["lowfreq"],
        high=config["highfreq"],
        preemphasis=config["preemph"],
        lifter=config["ceplifter"],
        energy=config["appendEnergy"],
    )
    sine = 10000 * np.sin(2 * np.pi * 440 * np.arange(settings.rate) / settings.rate)
    sounds = fixture.inputs | {"sine440": sine.astype(np.int16)}
    outputs: Outputs = {}
    for name, audio in sounds.items():
        bank = mfcc_function.filter_bank(audio, settings)
        outputs |= {
            f"{name}.mfcc": mfcc_function.mfcc(audio, settings),
            f"{name}.fbank": bank.energies,
            f"{name}.energy": bank.total,
        }
    outputs["filterbank"] = mfcc_function.mel_filters(settings)
    outputs["columns"] = [mfcc_function.frame_count(len(audio), settings) for audio in fixture.inputs.values()]
    return outputs
