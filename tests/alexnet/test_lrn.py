"""Local response normalisation against the paper's sum, torch's own function, and gradcheck."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

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
def test_equals_the_papers_sum(beta: float) -> None:
    x = torch.randn(2, 9, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = local_response_norm(10 * x, 5, 0.01, beta, 2.0)
    torch.testing.assert_close(ours, naive(10 * x, 5, 0.01, beta, 2.0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("convention", list(Convention))
def test_equals_the_function_of_its_convention(convention: Convention) -> None:
    """One norm said in four ways, each as its library writes it, against the paper's sum."""
    x = 30 * torch.randn(2, 96, 7, 7, dtype=torch.float64, generator=seeded(0))
    said = {
        Convention.PAPER: (5, 1e-4),
        Convention.PYTORCH: (5, 5e-4),
        Convention.CAFFE: (5, 5e-4),
        Convention.TENSORFLOW: (2, 1e-4),
    }
    ours = local_response_norm(x, *said[convention], convention=convention)
    torch.testing.assert_close(ours, naive(x, 5, 1e-4, 0.75, 2.0), rtol=1e-12, atol=0)


def test_pytorchs_convention_is_pytorchs() -> None:
    """Torch divides the sum by the size; the paper does not."""
    x = 30 * torch.randn(2, 96, 7, 7, generator=seeded(0))
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
def test_towers_do_not_see_each_other(maps: int, layout: torch.memory_format) -> None:
    x = 30 * torch.randn(2, maps, 5, 5, dtype=torch.float64, generator=seeded(3))
    x = x.to(memory_format=layout)
    apart = torch.cat([naive(tower, 5, 1e-4, 0.75, 2.0) for tower in x.chunk(2, 1)], 1)
    torch.testing.assert_close(local_response_norm(x, groups=2), apart, rtol=1e-12, atol=0)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("beta", "maps"), [(0.75, 8), (0.5, 8), (0.75, 152)])
def test_gradient(groups: int, beta: float, maps: int) -> None:
    x = torch.randn(1, maps, 2, 1, dtype=torch.float64).to(memory_format=torch.channels_last)
    x.requires_grad_()
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
    layout: torch.memory_format, dtype: torch.dtype, bound: float, maps: int, side: int
) -> None:
    """Each output within the bound of float64's; gradients within it of the greatest."""
    for scale in (1, 20, 60, 200):
        x = (scale * torch.randn(2, maps, side, side, generator=seeded(scale))).relu().to(dtype)
        x = x.to(memory_format=layout).requires_grad_()
        exact = x.detach().double().requires_grad_()
        grad = torch.randn(x.shape, generator=seeded(5)).to(dtype)
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


def test_same_bits_every_time_in_torchs_deterministic_mode() -> None:
    x = 30 * torch.randn(8, 96, 27, 27, generator=seeded(4))
    torch.use_deterministic_algorithms(mode=True)
    try:
        results = []
        for _ in range(2):
            leaf = x.clone().requires_grad_()
            local_response_norm(leaf).square().sum().backward()
            results.append(leaf.grad)
        assert torch.equal(*results)
    finally:
        torch.use_deterministic_algorithms(mode=False)


def test_autocast_leaves_its_precision_alone() -> None:
    """Inside a bf16 context a float32 input is still summed in float32."""
    x = 30 * torch.randn(1, 96, 5, 5, generator=seeded(2))
    with torch.autocast("cpu", torch.bfloat16):
        ours = local_response_norm(x)
    torch.testing.assert_close(ours, local_response_norm(x), rtol=0, atol=0)


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
