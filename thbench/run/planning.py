"""From what the user asked for to jobs with content hashes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from thbench.errors import MediaError
from thbench.media import probe
from thbench.registry import METHODS
from thbench.run.hashing import content_hash
from thbench.run.job import ClipJob, Task, others_of
from thbench.run.seeds import clip_seed
from thbench.types import GROUND_TRUTH, Clip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from thbench.evaluate.pairs import Pair
    from thbench.run.suite import Suite, Variant

Planned = tuple[ClipJob, ...]


def eval_jobs(pairs: Sequence[Pair], identities: Mapping[str, str], *, row: str, recipe: str, seed: int = 0) -> Planned:
    """Jobs that score finished videos, with the ground-truth row beside them.

    Args:
        pairs: The clips.
        identities: Clip id to identity.
        row: Name of the row of the generated videos.
        recipe: Key of the recipe; part of every key, so that other protocols are other records.
        seed: Seed recorded with each clip.
    """
    digests = {path: file_digest(path) for pair in pairs for path in (pair.generated, pair.reference) if path}
    sounding = {pair.clip: path for pair in pairs if (path := pair.reference or pair.generated) and has_sound(path)}
    jobs = []
    for pair in pairs:
        others = others_of(pair.clip, identities, sounding)
        about = {
            "recipe": recipe,
            "clip": pair.clip,
            "reference": digests.get(pair.reference) if pair.reference else None,
            "others": [digests[path] for path in others],
            "seed": seed,
        }
        tasks = [
            Task(
                key=content_hash({**about, "row": row, "generated": pair.generated and digests[pair.generated]}),
                name=row,
                seed=seed,
                generated=pair.generated,
                failure=None if pair.generated else f"no generated video for reference clip {pair.clip!r}",
            )
        ]
        if pair.reference is not None:
            key = content_hash({**about, "row": GROUND_TRUTH, "generated": digests[pair.reference]})
            tasks.append(Task(key=key, name=GROUND_TRUTH, seed=seed, generated=pair.reference))
        jobs.append(
            ClipJob(
                clip=pair.clip,
                identity=identities[pair.clip],
                reference=pair.reference,
                tasks=tuple(tasks),
                others=others,
                seconds=length_of(pair.reference or pair.generated),
            )
        )
    return tuple(jobs)


def suite_jobs(clips: Sequence[Clip], variants: Sequence[Variant], suite: Suite, *, recipe: str) -> Planned:
    """Jobs that generate and score every variant and seed of a suite for every clip."""
    digests = {clip.id: file_digest(clip.path) for clip in clips}
    identities = {clip.id: clip.identity for clip in clips}
    sounding = {clip.id: clip.path for clip in clips if has_sound(clip.path)}
    by_path = {clip.path: digests[clip.id] for clip in clips}
    jobs = []
    for clip in clips:
        others = others_of(clip.id, identities, sounding)
        about = {
            "recipe": recipe,
            "clip": clip.id,
            "reference": digests[clip.id],
            "others": [by_path[path] for path in others],
        }
        tasks = tuple(
            Task(
                key=content_hash(
                    {
                        **about,
                        "variant": variant.model_dump(mode="json"),
                        "method_version": METHODS[variant.method].version,
                        "controls": suite.controls.get(variant.method, {}),
                        "seed": clip_seed(seed, clip.id),
                    }
                ),
                name=variant.name,
                seed=seed,
                variant=variant,
            )
            for variant in variants
            for seed in suite.seeds
        )
        jobs.append(ClipJob(clip.id, clip.identity, clip.path, tasks, others, seconds=length_of(clip.path)))
    return tuple(jobs)


def without(jobs: Planned, finished: frozenset[str] | set[str]) -> Planned:
    """The jobs without the tasks that have a finished record."""
    left = []
    for job in jobs:
        tasks = tuple(task for task in job.tasks if task.key not in finished)
        if tasks:
            left.append(ClipJob(job.clip, job.identity, job.reference, tasks, job.others, job.seconds))
    return tuple(left)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read as a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_sound(path: Path) -> bool:
    """Whether a file has a sound track; a file that cannot be read has none (its own record will say why)."""
    try:
        return probe(path).audio_codec is not None
    except MediaError:
        return False


def length_of(path: Path | None) -> float:
    """Seconds of video, 0 where it cannot be told; only progress depends on it."""
    if path is None:
        return 0.0
    try:
        return probe(path).duration or 0.0
    except MediaError:
        return 0.0
