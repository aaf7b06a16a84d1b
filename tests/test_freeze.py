import json
import sys

import freeze
import pytest

from yamnet_cry.distill import sources


def test_the_same_clips_are_chosen_whatever_their_order(synthetic_corpus):
    clips = sources.load(str(synthetic_corpus))
    chosen = freeze.chosen(clips)
    assert chosen == freeze.chosen(reversed(clips))
    assert len(chosen) == len({clip.name for clip in chosen}) == len(clips) - 1
    assert all(clip.labels for clip in chosen)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ({"a": {"b": 1.0}}, {"a": {"b": 1.0}}, []),
        ({"a": {"b": 1.0}}, {"a": {"b": 1.5}}, ["a.b: before 1.0, now 1.5"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a.1: before 'nothing', now 2"]),
        ({"a": 1, "b": 2}, {"b": 2}, ["a: before 1, now 'nothing'"]),
    ],
)
def test_what_differs_is_named(before, after, named):
    assert list(freeze.differences(before, after)) == named


@pytest.mark.parametrize(("now", "code"), [({"model": "abc"}, 0), ({"model": "abd"}, 1)])
def test_comparing(synthetic_corpus, tmp_path, monkeypatch, capsys, now, code):
    before = tmp_path / "before.json"
    before.write_text(json.dumps({"model": "abc"}))
    monkeypatch.setattr(freeze, "freeze", lambda *_: now)
    monkeypatch.setattr(
        sys,
        "argv",
        ["freeze.py", str(synthetic_corpus), "--teacher", "t", "--compare", str(before)],
    )
    with pytest.raises(SystemExit) as ended:
        freeze.main()
    assert ended.value.code == code
    assert ("model: before 'abc', now 'abd'" in capsys.readouterr().out) == bool(code)
