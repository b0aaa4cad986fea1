"""Datasets that come with thbench; imports nothing heavy."""

from thbench.spec import DatasetSpec

FOLDER = DatasetSpec(
    name="folder",
    title="any folder of videos with sound, one clip per file",
    licence="that of the user's files",
    source="--data DIR; an optional identities.csv (clip,identity) says who speaks",
    factory="thbench.data.folder:clips_of",
)

SYNTH_HEADS = DatasetSpec(
    name="synth-heads",
    embedded=True,
    title="procedural talking heads with sound and known truth; the test split comes with the package",
    licence="Apache-2.0",
    source="drawn and spoken by thbench.data.synth_heads; `thbench data make synth-heads` makes more",
    factory="thbench.data.synth_heads.dataset:clips_of",
)
