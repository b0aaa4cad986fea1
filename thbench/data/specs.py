"""Datasets that come with thbench; imports nothing heavy."""

from thbench.spec import DatasetSpec

FOLDER = DatasetSpec(
    name="folder",
    title="any folder of videos with sound, one clip per file",
    licence="that of the user's files",
    source="--data DIR; an optional identities.csv (clip,identity) says who speaks",
    factory="thbench.data.folder:clips_of",
)
