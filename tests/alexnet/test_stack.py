"""The lecture's second picture: each of its numbers is found, and no network has them all."""

from __future__ import annotations

from imagetree.alexnet.stack import likenesses, render_stack, stack_rows

PICTURE = """
4M FULL CONNECT
16M FULL 4096/ReLU
37M FULL 4096/ReLU
MAX POOLING
442K CONV 3x3/ReLU 256fm
1.3M CONV 3x3ReLU 384fm
884K CONV 3x3/ReLU 384fm
MAX POOLING 2x2sub
LOCAL CONTRAST NORM
307K CONV 11x11/ReLU 256fm
MAX POOL 2x2sub
LOCAL CONTRAST NORM
35K CONV 11x11/ReLU 96fm
"""
"""As the lecture prints it, top down."""


def test_picture_is_the_lectures() -> None:
    printed = [f"{row.printed} {row.text}".strip() for row in stack_rows()]
    assert printed == PICTURE.strip().splitlines()


def test_what_each_number_is() -> None:
    """Upwards from the image: 35K 307K 884K 1.3M 442K 37M 16M 4M, exactly and by which count."""
    found = [
        (row.printed, row.weights, row.counted, row.shortened)
        for row in reversed(stack_rows())
        if row.printed
    ]
    assert found == [
        ("35K", 11 * 11 * 3 * 96, "either", "rounded"),
        ("307K", 5 * 5 * 48 * 256, "grouped", "either"),
        ("884K", 3 * 3 * 256 * 384, "either", "cut off"),
        ("1.3M", 3 * 3 * 384 * 384, "ungrouped", "either"),
        ("442K", 3 * 3 * 192 * 256, "grouped", "either"),
        ("37M", 9216 * 4096, "either", "cut off"),
        ("16M", 4096 * 4096, "either", "cut off"),
        ("4M", 4096 * 1000, "either", "either"),
    ]


def test_eleven_by_eleven_on_the_second_layer_is_five_by_five() -> None:
    (conv2,) = [row for row in stack_rows() if row.layer == "conv2"]
    assert conv2.formula == "5*5*48*256 = 307,200"
    assert conv2.remark == f"'11x11' is 5x5: 11*11*48*256 would be {11 * 11 * 48 * 256:,}"


def test_no_network_has_all_of_them() -> None:
    """The paper's has seven, the single tower six; conv4 is what the paper's lacks."""
    found = {each.architecture: each for each in likenesses()}
    assert max(each.num_equal for each in found.values()) == 7
    assert found["two_gpu"].differing == ("conv4: 663,552 and not 1.3M",)
    assert found["single_gpu"].differing == (
        "conv2: 614,400 and not 307K",
        "conv5: 884,736 and not 442K",
    )
    assert found["one_weird_trick"].num_equal == 4
    assert len(found) == 8


def test_text_explains_it() -> None:
    text = render_stack()
    assert "5*5*48*256 = 307,200" in text
    assert "two_gpu: 7 of 8" in text
    assert "no network has all eight" in text
