"""Where a user's data lies: pinned for ever, without gaps, the same code for one database and for many."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from lms_app.db.urls import DatabaseUrls
from lms_app.shards.sharding import LOGICAL_SHARDS, ShardMap, logical_shard, shard_hash

URLS = DatabaseUrls(primary_url=SecretStr("postgresql:///x"))
USER_IDS = st.integers(min_value=1, max_value=2**63 - 1)


def shard_map(**shards: list[tuple[int, int]]) -> ShardMap:
    return ShardMap(catalogue=next(iter(shards)), databases=dict.fromkeys(shards, URLS), shards=shards)


@pytest.mark.parametrize(
    ("user_id", "hashed", "shard"),
    [
        (1, 0x5199C35D28EFDAB8, 408),
        (2, 0xFC52CCEAF0D349F5, 341),
        (3, 0x801B4C894DA5A6F2, 178),
        (100, 0xFD6F43B2591D392A, 106),
        (10_000, 0xDC84064DA95AAF05, 229),
        (2**31, 0xDFA16C8FD4551685, 37),
        (2**53 + 1, 0x35E0C79589B9787C, 156),
        (2**63 - 1, 0xD475E0A0E502D146, 38),
    ],
)
def test_hashes_are_pinned_so_that_no_release_moves_a_user(user_id, hashed, shard):
    assert shard_hash(user_id) == hashed
    assert logical_shard(user_id) == shard


@given(USER_IDS)
def test_every_user_has_exactly_one_database(user_id):
    one, many = shard_map(main=[(0, 479)]), shard_map(a=[(0, 99), (300, 479)], b=[(100, 299)])
    assert 0 <= logical_shard(user_id) < LOGICAL_SHARDS
    assert one.database_of(user_id) == "main"
    assert many.database_of(user_id) == ("b" if 100 <= logical_shard(user_id) <= 299 else "a")


@given(st.data())
def test_moving_one_logical_shard_moves_its_users_and_no_others(data):
    moved = data.draw(st.integers(0, LOGICAL_SHARDS - 1))
    user_id = data.draw(USER_IDS)
    rest = [span for span in ((0, moved - 1), (moved + 1, LOGICAL_SHARDS - 1)) if span[0] <= span[1]]
    after = shard_map(old=rest, new=[(moved, moved)])
    assert after.database_of(user_id) == ("new" if logical_shard(user_id) == moved else "old")


def test_neighbouring_ids_spread_evenly_over_the_shards():
    counts = Counter(map(logical_shard, range(1, 48_001)))
    assert len(counts) == LOGICAL_SHARDS
    assert max(counts.values()) < 150  # 100 expected; the deviation of a fair spread is 10
    assert min(counts.values()) > 60


@given(st.integers(0, LOGICAL_SHARDS - 1), st.integers(0, LOGICAL_SHARDS - 1))
def test_a_gap_is_refused_by_name(first, last):
    first, last = sorted((first, last))
    spans = [span for span in ((0, first - 1), (last + 1, LOGICAL_SHARDS - 1)) if span[0] <= span[1]]
    with pytest.raises(ValidationError, match=f"{last - first + 1} logical shards .* first is {first}"):
        shard_map(main=spans)


@pytest.mark.parametrize(
    ("shards", "catalogue", "message"),
    [
        ({"a": [(0, 300)], "b": [(300, 479)]}, "a", "shard 300 belongs to both 'a' and 'b'"),
        ({"a": [(0, 480)]}, "a", "0-480 is not a span"),
        ({"a": [(5, 4)]}, "a", "5-4 is not a span"),
        ({"c": [(0, 479)]}, "a", "'c', which is not among"),
        ({"a": [(0, 479)]}, "z", "catalogue's database 'z'"),
    ],
)
def test_a_faulty_map_says_what_is_wrong(shards, catalogue, message):
    with pytest.raises(ValidationError, match=message):
        ShardMap(catalogue=catalogue, databases={"a": URLS, "b": URLS}, shards=shards)
