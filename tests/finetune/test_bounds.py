import os

import numpy as np

from finetune import bound_caches
from finetune.keys import text_key
from finetune.shards import Shards

DAY = 86_400.0


def filled(cache, count=5):
    """Put shards of 4,000 bytes into a cache, number i last used i days after the first."""
    shards = Shards(cache / "embeddings" / "m", width=1000, dtype=np.float32)
    for i in range(count):
        before = set(shards.folder.glob("*"))
        shards.append([text_key(str(i))], [np.ones((1, 1000))])
        for path in set(shards.folder.iterdir()) - before:
            os.utime(path, (i * DAY, i * DAY))
    return shards.folder


def held(folder):
    shards = Shards(folder, width=1000, dtype=np.float32)
    return [i for i in range(5) if text_key(str(i)) in shards]


def size(cache):
    return sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())


def test_what_was_used_longest_ago_goes_first_and_no_more_than_it_takes(tmp_path):
    folder = filled(tmp_path)
    limit = size(tmp_path) * 3 // 5
    found = bound_caches(tmp_path, limit=limit)

    assert found.files == {"embeddings": 4}
    assert size(tmp_path) == found.left <= limit
    assert held(folder) == [2, 3, 4]
    assert found.sentence(limit).endswith("removed 4 files of embeddings (0 MB)")


def test_a_cache_within_its_limit_is_left_alone_and_nothing_is_said(tmp_path):
    folder = filled(tmp_path)
    found = bound_caches(tmp_path, limit=1_000_000)

    assert held(folder) == [0, 1, 2, 3, 4]
    assert found.sentence(1_000_000) == ""


def test_what_this_run_used_stays_even_over_the_limit_and_that_is_said(tmp_path):
    filled(tmp_path)
    used = Shards(tmp_path / "embeddings" / "m", width=1000, dtype=np.float32)  # marks all as used
    found = bound_caches(tmp_path, limit=0)

    assert text_key("0") in used
    assert found.files == {}
    assert "removed nothing" in found.sentence(0)
    assert "as this run or the last hour used them" in found.sentence(0)


def test_what_is_not_a_cache_of_models_is_never_touched(tmp_path):
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "part").write_bytes(b"x" * 100)
    os.utime(tmp_path / "objects" / "part", (0, 0))

    assert bound_caches(tmp_path, limit=0).files == {}
    assert (tmp_path / "objects" / "part").exists()
