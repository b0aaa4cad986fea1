"""Clips acted once more with the face of another emotion: words, times and head stay."""

from pathlib import Path

import numpy as np
import pytest
from thbench_methods.common.still import still
from thbench_methods.dreamtalk.acted import open_acted
from thbench_methods.svp.restyled import drawn_others, restyled, restyled_faces, with_emotion, with_habits

from thbench.data.synth_heads.dataset import clips_of, embedded_folder, truth_of
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.manifest import read_manifest, write_manifest
from thbench.data.synth_heads.pictures import Pictures, open_pictures
from thbench.data.synth_heads.style import make_style


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two embedded clips of different emotions."""
    source, place = embedded_folder(), tmp_path_factory.mktemp("split")
    manifest = read_manifest(source)
    assert manifest is not None
    entries = manifest.clips[:2]
    for entry in entries:
        for file in (entry.video, entry.truth):
            (place / file.name).symlink_to(source / file.name)
    write_manifest(place, manifest.model_copy(update={"clips": entries}))
    return place


@pytest.fixture(scope="module")
def own(folder: Path) -> Pictures:
    return open_pictures(folder)


def test_a_clip_acted_with_its_own_emotion_is_the_same() -> None:
    truth = truth_of(clips_of()[0])
    same = with_emotion(truth, truth.about.emotion, truth.about.level)
    assert np.array_equal(same.expression, truth.motion.expression)
    assert np.array_equal(same.gaze, truth.motion.gaze)


def test_another_emotion_changes_the_face_and_neither_words_nor_head() -> None:
    truth = next(truth for clip in clips_of() if (truth := truth_of(clip)).about.emotion != "happy")
    happy = with_emotion(truth, "happy", 3)
    smile, jaw = (EXPRESSIONS.index(name) for name in ("mouthSmileLeft", "jawOpen"))
    assert happy.expression[:, smile].mean() > truth.motion.expression[:, smile].mean() + 0.3
    assert np.corrcoef(happy.expression[:, jaw], truth.motion.expression[:, jaw])[0, 1] > 0.8
    assert np.array_equal(happy.pose, truth.motion.pose) and np.array_equal(happy.place, truth.motion.place)


def test_habits_of_somebody_else_show_in_the_face_alone() -> None:
    truth, other = (truth_of(clip) for clip in clips_of()[:2])
    about = truth.about
    own, changed = (
        with_habits(truth, make_style(person), about.emotion, about.level)
        for person in (about.person, other.about.person)
    )
    assert np.array_equal(own.expression, truth.motion.expression)
    assert np.abs(changed.expression - own.expression).max() > 0.05
    assert np.array_equal(changed.pose, own.pose) and np.array_equal(changed.place, own.place)


def test_each_clip_shows_another_emotion() -> None:
    emotions = ("sad", "happy", "sad", "angry", "happy")
    others = drawn_others(emotions)
    assert all(emotions[other] != own for own, other in zip(emotions, others, strict=True))
    assert np.array_equal(others, drawn_others(emotions))
    assert drawn_others(("sad", "sad")).tolist() == [0, 1]


def test_clips_are_drawn_with_each_others_faces(folder: Path, own: Pictures) -> None:
    assert own.emotion[0] != own.emotion[1]
    other, resting = restyled(folder, own), still(folder, own)
    assert other.style.tolist() == [1, 0]
    assert other.pictures.frames.shape == own.frames.shape
    assert np.array_equal(other.pictures.pose, resting.pose)
    assert np.array_equal(other.pictures.sound, own.sound)
    for clip in range(2):
        moved = np.linalg.norm(other.pictures.landmarks68[clip] - resting.landmarks68[clip], axis=-1).mean(axis=0)
        assert moved[17:68].max() > 0.5  # of the face
        assert np.abs(other.pictures.landmarks68[clip][:, 27:31] - resting.landmarks68[clip][:, 27:31]).max() < 0.7
        # Behind the head nothing has changed.
        assert np.array_equal(other.pictures.frames[clip][:, :12, :12], resting.frames[clip][:, :12, :12])
    # What is drawn is kept.
    file = next(folder.rglob("restyled-*/frames.bin"))
    before = file.stat().st_mtime_ns
    assert np.array_equal(restyled(folder, own).pictures.frames, other.pictures.frames)
    assert file.stat().st_mtime_ns == before


def test_people_show_each_others_clips_with_restyled_faces(folder: Path, own: Pictures) -> None:
    plain = open_acted(folder, own.clips, resting=True)
    other = open_acted(folder, own.clips, resting=True, faces=restyled_faces(own))
    resting, swapped = still(folder, own), restyled(folder, own).pictures
    for name in ("body", "source", "instant"):  # the same people at the same instants
        assert np.array_equal(getattr(plain, name), getattr(other, name))
    assert not np.array_equal(plain.frames, other.frames)
    for acted, shown in ((plain, resting), (other, swapped)):
        for clip in range(2):
            mine = acted.source[clip] == clip  # what the clip itself shows there is drawn as in it
            assert mine.any()
            marks = np.asarray(shown.landmarks68[clip])[acted.instant[clip][mine]]
            np.testing.assert_allclose(acted.landmarks68[clip][mine], marks, atol=0.05)
