"""The exact bytes of the result hash, held by golden values that two other implementations gave."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from livecalc.domain.resulthash import OutputDigest, block_digest, output_digest, result_hash

A = "bus://results/npv"
B = "bus://results/count"
BLOCK_0_OF_A = "9b3ec7483dcb18d8bc593eba7fa25be5239e884ff4f4845171e6cbc4193aa5a4"
OUTPUT_A = "e5fb98118ef78930ff4223e81682f8f164a510b7e61ea2cd95007e610833ab87"
OUTPUT_B = "2f66bc19eeda78a2301f5e22f211a70ec30047c6da18afbf28f16ef064368e18"
RESULT_A = "f8d11bc311c00c9a108607b17ce359284d01e6ea96cdc4f1dc815864b5ae6cca"
RESULT_AB = "ec5cfd88d201ac3ba93f57c5558c45f33668416d22dfefbc72bc3ed33accbb49"
NAN = bytes.fromhex("000000000000f87f")


def _npv() -> OutputDigest:
    digests = [block_digest(0, 2, struct.pack("<2d", 1.0, -0.0)), block_digest(2, 3, NAN)]
    return OutputDigest(dtype="<f8", shape=(3,), block=2, digests=digests)


def _count() -> OutputDigest:
    digests = [block_digest(0, 2, struct.pack("<4q", 1, 2, 3, 4)), block_digest(2, 3, struct.pack("<2q", 5, 6))]
    return OutputDigest(dtype="<i8", shape=(3, 2), block=2, digests=digests)


def test_a_block_has_its_golden_digest() -> None:
    assert _npv().digests[0].hex() == BLOCK_0_OF_A


def test_outputs_have_their_golden_digests() -> None:
    assert output_digest(A, _npv()).hex() == OUTPUT_A
    assert output_digest(B, _count()).hex() == OUTPUT_B


def test_results_have_their_golden_hashes() -> None:
    assert result_hash({A: _npv()}) == RESULT_A
    assert result_hash({A: _npv(), B: _count()}) == RESULT_AB


def test_the_order_in_which_outputs_are_given_does_not_matter() -> None:
    assert result_hash({B: _count(), A: _npv()}) == RESULT_AB


def test_zero_and_minus_zero_are_different_values() -> None:
    assert block_digest(0, 1, struct.pack("<d", 0.0)) != block_digest(0, 1, struct.pack("<d", -0.0))


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(names, min_size=2, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_names_are_sorted_by_their_bytes(outputs: list[str], random: object) -> None:
    digests = {
        name: OutputDigest(dtype="|u1", shape=(1,), block=8, digests=[block_digest(0, 1, bytes([index]))])
        for index, name in enumerate(outputs)
    }
    shuffled = list(digests.items())
    random.shuffle(shuffled)  # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType]
    assert result_hash(dict(shuffled)) == result_hash(digests)


kinds = st.builds(
    OutputDigest,
    dtype=st.sampled_from(["<f8", "<i8"]),
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    block=st.integers(1, 3),
    digests=st.just([block_digest(0, 1, b"same")]),
)


@given(kinds, kinds)
def test_dtype_shape_and_block_size_are_part_of_the_digest(one: OutputDigest, two: OutputDigest) -> None:
    assert (output_digest(A, one) == output_digest(A, two)) == (one == two)
