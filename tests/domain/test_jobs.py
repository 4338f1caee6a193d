"""Job ids sort by their second; scenarios are split into whole blocks."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.domain.errors import InvalidInput
from livecalc.domain.jobs import RANDOM_BITS, JobState, check_job_id, is_job_id, new_job_id, split_blocks

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  (UTC is drawn)
RANDOM = st.integers(0, 2**RANDOM_BITS - 1)


@given(MOMENTS, MOMENTS, RANDOM, RANDOM)
def test_ids_sort_by_their_second(one: datetime, other: datetime, first: int, second: int) -> None:
    ids = new_job_id(one, first), new_job_id(other, second)
    assert all(map(is_job_id, ids))
    if int(one.timestamp()) < int(other.timestamp()):
        assert ids[0] < ids[1]


@given(MOMENTS, RANDOM, RANDOM)
def test_random_bits_tell_jobs_of_one_second_apart(moment: datetime, one: int, other: int) -> None:
    assert (new_job_id(moment, one) == new_job_id(moment, other)) == (one == other)


@given(st.text(max_size=20))
def test_other_texts_are_no_ids(text: str) -> None:
    if not is_job_id(text):
        with pytest.raises(InvalidInput):
            check_job_id(text)
    else:
        assert check_job_id(text) == text


@given(st.integers(1, 5000), st.integers(1, 100), st.integers(1, 64))
def test_partitions_are_whole_blocks_and_even(scenarios: int, block: int, partitions: int) -> None:
    ranges = split_blocks(scenarios, block, partitions)
    blocks = -(-scenarios // block)
    assert len(ranges) == min(partitions, blocks)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == scenarios
    assert all(before[1] == after[0] for before, after in pairwise(ranges))
    assert all(first % block == 0 and first < stop for first, stop in ranges)
    sizes = [-(-(stop - first) // block) for first, stop in ranges]
    assert max(sizes) - min(sizes) <= 1


def test_the_last_three_states_are_final() -> None:
    assert [state for state in JobState if state.final] == [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED]
