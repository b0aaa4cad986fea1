"""Program that speaks one text with espeak-ng: request on stdin, sound and phoneme times on stdout.

It runs as a process of its own for each text, for two reasons: espeak-ng carries state from one text to the next, so
only a fresh process, with a noise seeded here, gives equal sound for equal requests; and its GPL library never enters
the process of thbench.

Request: one JSON object with `text`, `voice`, `rate`, `pitch`, `range`. Answer: one line of JSON with `rate` (samples
per second), `samples` and `phonemes` (list of [IPA, first sample]), then the samples as 16-bit integers in machine
order. On failure the line has only `error`.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any, ClassVar

_SYNCHRONOUS, _PHONEME_EVENTS, _IPA, _DO_NOT_EXIT = 2, 1, 2, 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8 = 1
_LIST_END, _PHONEME = 0, 7
# Names and values as in espeak-ng's speak_lib.h.
_NOISE = 1
"""Seed of the noise of breath and fricatives; without one espeak-ng takes the second of the clock."""


class _Id(ctypes.Union):
    _fields_: ClassVar = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_: ClassVar = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def speak(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Speak the request's text; return the header of the answer and the samples."""
    import espeakng_loader  # type: ignore[import-untyped,import-not-found,unused-ignore]

    library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
    data = str(espeakng_loader.get_data_path()).encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _IPA | _DO_NOT_EXIT)
    if rate <= 0:
        return {"error": f"espeak-ng does not start (code {rate}) with the data in {data.decode()}"}, b""
    library.espeak_ng_SetRandSeed(ctypes.c_long(_NOISE))
    sound = bytearray()
    phonemes: list[tuple[str, int]] = []

    @_Callback  # type: ignore[untyped-decorator]
    def receive(samples: Any, count: int, events: Any) -> int:
        if count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        i = 0
        while events[i].type != _LIST_END:
            if events[i].type == _PHONEME:
                phonemes.append((events[i].id.string.decode("utf-8", "replace"), events[i].sample))
            i += 1
        return 0

    library.espeak_SetSynthCallback(receive)
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        return {"error": f"espeak-ng has no voice {request['voice']!r}"}, b""
    for parameter, name in ((_RATE, "rate"), (_PITCH, "pitch"), (_RANGE, "range")):
        library.espeak_SetParameter(parameter, int(request[name]), 0)
    text = request["text"].encode() + b"\0"
    library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    return {"rate": rate, "samples": len(sound) // 2, "phonemes": phonemes}, bytes(sound)


def main() -> None:
    """Answer the request on stdin."""
    header, sound = speak(json.load(sys.stdin))
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + sound)


if __name__ == "__main__":
    main()
