import shutil

import numpy as np
import pytest

from thbench.data.synth_heads.dataset import clips_of, embedded_folder, truth_of
from thbench.data.synth_heads.manifest import read_manifest, write_manifest
from thbench.data.synth_heads.pictures import open_pictures
from thbench.errors import UsageError
from thbench.media import read_audio, read_frames


@pytest.fixture
def folder(tmp_path):
    source = embedded_folder()
    manifest = read_manifest(source)
    clips = manifest.clips[:3]
    for entry in clips:
        for file in (entry.video, entry.truth):
            shutil.copy(source / file.name, tmp_path)
    write_manifest(tmp_path, manifest.model_copy(update={"clips": clips}))
    return tmp_path


def test_arrays_equal_files(folder):
    pictures = open_pictures(folder)
    assert len(pictures) == 3
    for i, clip in enumerate(clips_of(folder)):
        truth = truth_of(clip)
        frames = np.stack([f.rgb for f in read_frames(clip.path)])
        assert np.array_equal(pictures.frames[i], frames)
        assert np.array_equal(pictures.pose[i], truth.pose)
        assert np.array_equal(pictures.mask[i], truth.mask)
        assert np.array_equal(pictures.landmarks68[i], truth.landmarks68)
        sound = read_audio(clip.path).samples
        shared = min(len(sound), pictures.sound.shape[1])
        assert np.array_equal(pictures.sound[i, :shared], sound[:shared])
        assert pictures.emotion[i] == truth.about.emotion


def test_more_clips_are_appended(folder):
    first = np.array(open_pictures(folder, 1).frames)
    told = []
    more = open_pictures(folder, 3, on_clip=lambda done, total: told.append((done, total)))
    assert told == [(2, 3), (3, 3)]
    assert np.array_equal(more.frames[:1], first)
    again = []
    open_pictures(folder, 2, on_clip=lambda *seen: again.append(seen))
    assert again == []


def test_too_few_clips(folder):
    with pytest.raises(UsageError, match="holds 3 clips of synth-heads, 4 are needed"):
        open_pictures(folder, 4)
