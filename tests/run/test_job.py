from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thbench.run.job import OTHER_CLIPS, others_of

NAMES = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=15, unique=True)


@given(NAMES, st.randoms())
def test_others_never_hold_the_clip_itself_and_do_not_depend_on_order(names: list[str], random: object) -> None:
    clip = names[0]
    identities = {name: name[0] for name in names}
    paths = {name: name.upper() for name in names}
    others = others_of(clip, identities, paths)
    shuffled = dict(sorted(paths.items(), reverse=True))
    assert others == others_of(clip, identities, shuffled)
    assert clip.upper() not in others
    assert len(others) == min(len(names) - 1, OTHER_CLIPS)


@given(NAMES)
def test_other_identities_come_first(names: list[str]) -> None:
    clip = names[0]
    identities = {name: name[0] for name in names}
    others = others_of(clip, identities, {name: name for name in names}, most=len(names))
    same = [identities[name] == identities[clip] for name in others]
    assert same == sorted(same)


def test_clips_without_sound_lend_none() -> None:
    assert others_of("a", {"a": "a", "b": "b", "c": "c"}, {"c": 3}) == (3,)
