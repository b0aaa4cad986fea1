"""Makes clips: video with sound, and truth."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.manifest import Entry, Manifest, entry_of, read_manifest, write_manifest
from thbench.data.synth_heads.model import make_model
from thbench.data.synth_heads.motion import posed
from thbench.data.synth_heads.performance import perform, utter
from thbench.data.synth_heads.person import make_person
from thbench.data.synth_heads.plan import CLIPS, VERSION, describe, plan
from thbench.data.synth_heads.render import render
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.style import make_style, make_voice
from thbench.data.synth_heads.truth import About, Truth, landmarks, select68, write_truth
from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from thbench.data.synth_heads.performance import Performance
    from thbench.data.synth_heads.plan import Plan, Split
    from thbench.data.synth_heads.speech.espeak import Utterance
    from thbench.types import Audio

SIZES = (64, 512)
"""Smallest and largest image side."""
FPS = 25.0
SECONDS = 4.0


class MadeClip:
    """A clip in memory: sound and truth at once, frames as they are drawn."""

    def __init__(
        self,
        clip: Plan,
        *,
        size: int = 128,
        seconds: float = SECONDS,
        fps: float = FPS,
        said: Utterance | None = None,
    ) -> None:
        """Act the clip out; nothing is drawn yet.

        Args:
            clip: Which clip.
            size: Pixels along each side; even, 64 to 512.
            seconds: Length.
            fps: Frames per second.
            said: Speech to use instead of speaking the clip's text: any sound whose phoneme times are known.

        Raises:
            UsageError: A size that cannot be drawn.
            MissingExtraError: A package that making speech needs is not installed.
        """
        check_size(size)
        self.plan = clip
        self._size = size
        person, style = make_person(clip.person), make_style(clip.person)
        voice = make_voice(person, clip.language)
        if said is None:
            said = utter(clip.text, voice, clip.emotion, clip.level, seconds)
        self.performance: Performance = perform(
            said, style, clip.emotion, clip.level, clip.intent, seed=clip.seed, seconds=seconds, fps=fps
        )
        self._scene = make_scene(clip.seed)
        self._model = make_model(person, max(2 * size, 256))
        acted = self.performance.body
        self.about = About(
            id=clip.id,
            split=clip.split,
            identity=clip.identity,
            person=clip.person,
            seed=clip.seed,
            prompt=describe(person, clip),
            text=clip.text,
            language=clip.language,
            voice=f"{voice.voice} {voice.rate}/{voice.pitch}/{voice.range}",
            emotion=clip.emotion,
            level=clip.level,
            intent=clip.intent,
            gesture=acted.gesture,
            style=style.as_dict(),
            phonemes=tuple((p.ipa, p.start, p.end) for p in self.performance.phonemes),
            beats=self.performance.beats,
            blinks=acted.blinks,
            backdrop=self._scene.backdrop,
            size=size,
            fps=fps,
        )
        self._face: list[NDArray[np.bool_]] = []
        self._mouth: list[float] = []

    @property
    def audio(self) -> Audio:
        """The speech, 16 kHz."""
        return self.performance.audio

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Draw the frames, each (size, size, 3), RGB. What is seen of the face is kept for `truth`."""
        self._face, self._mouth = [], []
        for frame in render(self._model, self.performance.motion, self._scene, self._size):
            self._face.append(frame.face >= 128)
            self._mouth.append(float(frame.mouth.sum()) / 255.0)
            yield frame.rgb

    def truth(self) -> Truth:
        """What is known of the clip; only once `frames` is exhausted.

        Raises:
            UsageError: Frames are missing.
        """
        motion = self.performance.motion
        if len(self._face) != len(motion):
            raise UsageError(
                f"{len(self._face)} of {len(motion)} frames of clip {self.plan.id!r} are drawn;"
                " exhaust frames() before truth()"
            )
        geometry, camera = self._model.geometry, self._scene.camera
        points68, opening = [], []
        for i in range(len(motion)):
            points = posed(geometry, motion, i)
            points68.append(select68(landmarks(geometry, motion, camera, self._size, i, points)))
            opening.append(float(np.linalg.norm(points[13] - points[14])))
        return Truth(
            about=self.about,
            motion=motion,
            visemes=self.performance.visemes,
            landmarks68=np.stack(points68),
            face=np.stack(self._face),
            mouth=np.array(self._mouth, dtype=np.float32),
            opening=np.array(opening, dtype=np.float32),
        )


def check_size(size: int) -> None:
    """Refuse image sides that cannot be drawn.

    Raises:
        UsageError: `size` is odd or out of range.
    """
    if not SIZES[0] <= size <= SIZES[1] or size % 2:
        raise UsageError(f"size {size} cannot be drawn; choose an even number from {SIZES[0]} to {SIZES[1]}")


def make_clip(clip: Plan, folder: Path, *, size: int, seconds: float, fps: float) -> Entry:
    """Make one clip's files, `<id>.mp4` and `<id>.npz`.

    Args:
        clip: Which clip.
        folder: Where to; must exist.
        size: Pixels along each side.
        seconds: Length.
        fps: Frames per second.
    """
    from thbench.media import write_video

    made = MadeClip(clip, size=size, seconds=seconds, fps=fps)
    video, truth = folder / f"{clip.id}.mp4", folder / f"{clip.id}.npz"
    write_video(video, made.frames(), fps, quality="view", audio=made.audio)
    write_truth(truth, made.truth())
    return entry_of(clip.id, clip.identity, video, truth)


def make_split(
    split: Split,
    folder: Path,
    *,
    clips: int | None = None,
    size: int = 128,
    seconds: float = SECONDS,
    fps: float = FPS,
    workers: int = 1,
    on_clip: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Make a split, or what is missing of it: clips that the folder's manifest lists and that are unchanged are kept.

    Args:
        split: Which split.
        folder: Where to; made if absent.
        clips: How many clips, from the first; None makes the whole split.
        size: Pixels along each side.
        seconds: Length of each clip.
        fps: Frames per second.
        workers: Processes.
        on_clip: Called with how many are done and how many there are.

    Raises:
        UsageError: The folder holds clips of another kind.
    """
    check_size(size)
    count = CLIPS[split] if clips is None else clips
    folder.mkdir(parents=True, exist_ok=True)
    head = Manifest(version=VERSION, split=split, size=size, seconds=seconds, fps=fps, clips=())
    done = {e.id: e for e in _kept(folder, head)}
    wanted = [plan(split, i, seconds) for i in range(count)]
    todo = [p for p in wanted if p.id not in done]
    finished = count - len(todo)
    for entry in _made(todo, folder, size, seconds, fps, workers):
        done[entry.id] = entry
        finished += 1
        if on_clip:
            on_clip(finished, count)
        if finished % 16 == 0:
            write_manifest(folder, head.model_copy(update={"clips": tuple(done[k] for k in sorted(done))}))
    manifest = head.model_copy(update={"clips": tuple(done[k] for k in sorted(done))})
    write_manifest(folder, manifest)
    return manifest


def _kept(folder: Path, head: Manifest) -> list[Entry]:
    """Entries of the folder's manifest whose files are unchanged."""
    old = read_manifest(folder, missing_ok=True)
    if old is None:
        return []
    if old.model_copy(update={"clips": ()}) != head:
        raise UsageError(
            f"{folder} holds {old.split} clips of {old.size} px, {old.seconds:g} s, {old.fps:g} fps,"
            f" version {old.version}; choose another folder or remove it"
        )
    return [e for e in old.clips if not e.faults(folder)]


def _made(todo: list[Plan], folder: Path, size: int, seconds: float, fps: float, workers: int) -> Iterator[Entry]:
    if workers <= 1 or len(todo) <= 1:
        for clip in todo:
            yield make_clip(clip, folder, size=size, seconds=seconds, fps=fps)
        return
    # Workers are started afresh (not forked), each with one thread for its linear algebra.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=context, initializer=_one_thread) as pool:
        jobs = [pool.submit(make_clip, clip, folder, size=size, seconds=seconds, fps=fps) for clip in todo]
        for job in as_completed(jobs):
            yield job.result()


def _one_thread() -> None:
    import cv2

    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)


def digest_of_frames(frames: Iterator[NDArray[np.uint8]]) -> str:
    """SHA-256 over the bytes of all frames in order."""
    total = hashlib.sha256()
    for frame in frames:
        total.update(np.ascontiguousarray(frame).tobytes())
    return total.hexdigest()
