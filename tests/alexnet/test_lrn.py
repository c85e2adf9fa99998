"""Local response normalisation against the paper's sum, torch's own function, and gradcheck."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from imagetree.alexnet import lrn
from imagetree.alexnet.lrn import Convention, local_response_norm
from imagetree.errors import TrainingError


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def naive(x: torch.Tensor, size: int, alpha: float, beta: float, k: float) -> torch.Tensor:
    """The formula of the paper, section 3.3, map by map."""
    result = torch.empty_like(x)
    maps = x.shape[1]
    for i in range(maps):
        low, high = max(0, i - size // 2), min(maps - 1, i + size // 2)
        squares = sum(x[:, j] ** 2 for j in range(low, high + 1))
        result[:, i] = x[:, i] / (k + alpha * squares) ** beta
    return result


@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_equals_the_papers_sum(beta: float, device: torch.device) -> None:
    x = torch.randn(2, 9, 3, 4, dtype=torch.float64, generator=seeded(0)).to(device)
    ours = local_response_norm(10 * x, 5, 0.01, beta, 2.0)
    torch.testing.assert_close(ours, naive(10 * x, 5, 0.01, beta, 2.0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("convention", list(Convention))
def test_equals_the_function_of_its_convention(
    convention: Convention, device: torch.device
) -> None:
    """One norm said in four ways, each as its library writes it, against the paper's sum."""
    x = 30 * torch.randn(2, 96, 7, 7, dtype=torch.float64, generator=seeded(0)).to(device)
    said = {
        Convention.PAPER: (5, 1e-4),
        Convention.PYTORCH: (5, 5e-4),
        Convention.CAFFE: (5, 5e-4),
        Convention.TENSORFLOW: (2, 1e-4),
    }
    ours = local_response_norm(x, *said[convention], convention=convention)
    torch.testing.assert_close(ours, naive(x, 5, 1e-4, 0.75, 2.0), rtol=1e-12, atol=0)


def test_pytorchs_convention_is_pytorchs(device: torch.device) -> None:
    """Torch divides the sum by the size; the paper does not."""
    x = 30 * torch.randn(2, 96, 7, 7, generator=seeded(0)).to(device)
    theirs = functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)
    ours = local_response_norm(x, 5, 5e-4, convention=Convention.PYTORCH)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_onnx_runtime_has_pytorchs_convention() -> None:
    """An implementation by others: ONNX's operator LRN, run by ONNX Runtime."""
    runtime = pytest.importorskip("onnxruntime")
    helper = pytest.importorskip("onnx.helper")
    node = helper.make_node("LRN", ["x"], ["y"], size=5, alpha=5e-4, beta=0.75, bias=2.0)
    values = [helper.make_tensor_value_info(name, 1, [2, 96, 7, 7]) for name in "xy"]
    graph = helper.make_graph([node], "lrn", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    x = 30 * torch.randn(2, 96, 7, 7, generator=seeded(0))
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    theirs = torch.from_numpy(session.run(None, {"x": x.numpy()})[0])
    ours = local_response_norm(x, 5, 5e-4, convention=Convention.CAFFE)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("maps", [96, 256])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_towers_do_not_see_each_other(
    maps: int, layout: torch.memory_format, device: torch.device
) -> None:
    x = 30 * torch.randn(2, maps, 5, 5, dtype=torch.float64, generator=seeded(3))
    x = x.to(device, memory_format=layout)
    apart = torch.cat([naive(tower, 5, 1e-4, 0.75, 2.0) for tower in x.chunk(2, 1)], 1)
    torch.testing.assert_close(local_response_norm(x, groups=2), apart, rtol=1e-12, atol=0)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("beta", "maps"), [(0.75, 8), (0.5, 8), (0.75, 152)])
def test_gradient(groups: int, beta: float, maps: int, device: torch.device) -> None:
    x = torch.randn(1, maps, 2, 1, dtype=torch.float64, generator=seeded(1))
    x = x.to(device, memory_format=torch.channels_last).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: local_response_norm(x, 5, 0.1, beta, groups=groups), x
    )


@pytest.mark.slow
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)], ids=["fp32", "bf16"]
)
@pytest.mark.parametrize(("maps", "side"), [(96, 27), (256, 13)])
def test_is_as_exact_as_its_type(
    layout: torch.memory_format,
    dtype: torch.dtype,
    bound: float,
    maps: int,
    side: int,
    device: torch.device,
) -> None:
    """Each output within the bound of float64's; gradients within it of the greatest."""
    for scale in (1, 20, 60, 200):
        x = (scale * torch.randn(2, maps, side, side, generator=seeded(scale))).relu().to(dtype)
        x = x.to(device, memory_format=layout).requires_grad_()
        exact = x.detach().double().requires_grad_()
        grad = torch.randn(x.shape, generator=seeded(5)).to(device, dtype)
        ours, theirs = local_response_norm(x), naive(exact, 5, 1e-4, 0.75, 2.0)
        assert ours.dtype == dtype
        assert ours.is_contiguous(memory_format=layout)
        torch.testing.assert_close(ours.double(), theirs, rtol=bound, atol=0)
        ours.backward(grad)
        theirs.backward(grad.double())
        assert x.grad is not None
        assert exact.grad is not None
        greatest = float(exact.grad.abs().max())
        torch.testing.assert_close(x.grad.double(), exact.grad, rtol=0, atol=bound * greatest)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_same_bits_every_time_in_torchs_deterministic_mode(
    dtype: torch.dtype, device: torch.device
) -> None:
    x = 30 * torch.randn(8, 96, 27, 27, generator=seeded(4)).to(device, dtype)
    results = []
    for _ in range(2):
        leaf = x.clone().requires_grad_()
        local_response_norm(leaf).square().sum().backward()
        results.append(leaf.grad)
    assert torch.equal(*results)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("maps", "towers"), [(3, 1), (8, 2), (96, 1), (256, 2)])
def test_the_sum_of_a_gpu_is_that_of_a_cpu(
    layout: torch.memory_format, maps: int, towers: int
) -> None:
    """By additions, as a GPU's convolutions of float32 round to 10 bits; fewer maps than 5 too."""
    x = torch.randn(2, maps, 4, 3, dtype=torch.float64, generator=seeded(6))
    x = x.to(memory_format=layout)
    constants = (5, towers, 1e-4, 0.75, 2.0)
    for offset in (None, 2.0):
        added = lrn._sum_of_shifts(x, constants, 0.3, offset)
        assert added.is_contiguous(memory_format=layout)
        banded = lrn._weighed_sum(x, constants, 0.3, offset)
        torch.testing.assert_close(added, banded, rtol=1e-12, atol=1e-12)


def test_autocast_leaves_its_precision_alone(device: torch.device) -> None:
    """Inside a bf16 context a float32 input is still summed in float32."""
    x = 30 * torch.randn(1, 96, 5, 5, generator=seeded(2)).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        ours = local_response_norm(x)
    torch.testing.assert_close(ours, local_response_norm(x), rtol=0, atol=0)


@pytest.mark.parametrize("maps", [96, 256])
@pytest.mark.parametrize("images", [0, 1, 9])
def test_every_image_is_normalised(maps: int, images: int) -> None:
    """In bf16 the CPU works through a few images at a time: none is left out or done twice."""
    x = 30 * torch.randn(images, maps, 27, 27, generator=seeded(0)).bfloat16()
    assert images < 2 or x[0].numel() * images > lrn._IN_CACHE
    y = local_response_norm(x, 5, 1e-4)
    assert y.shape == x.shape
    torch.testing.assert_close(y.double(), naive(x.double(), 5, 1e-4, 0.75, 2.0), rtol=1e-2, atol=0)


def test_first_derivative_may_be_kept_for_another_but_that_is_refused_with_a_reason() -> None:
    x = torch.randn(1, 5, 2, 2, requires_grad=True)
    (first,) = torch.autograd.grad(local_response_norm(x).square().sum(), x, create_graph=True)
    with pytest.raises(TrainingError, match="second derivatives") as caught:
        first.sum().backward()
    assert "torch.nn.functional.local_response_norm" in str(caught.value.hint)


def test_wrong_constants_are_refused() -> None:
    x = torch.zeros(1, 6, 2, 2)
    with pytest.raises(TrainingError, match=r"size is 4 \(expected an odd number"):
        local_response_norm(x, 4)
    with pytest.raises(TrainingError, match="6 maps in 4 towers"):
        local_response_norm(x, groups=4)
