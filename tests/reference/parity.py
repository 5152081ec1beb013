"""Comparison of a library's network with ours: outputs, input gradients and weight gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from equirgz.backbones.reference.engines import library_of
from equirgz.backbones.reference.filters import basis_change, bias_scale
from equirgz.nn import GroupConv2d
from equirgz.nn.conv.trivial import TrivialConv2d

LIMIT = {torch.float32: 1e-5, torch.float64: 1e-9}


def relative(value: Tensor, expected: Tensor) -> float:
    """Return |value - expected| / |expected| in the Euclidean norm."""
    value, expected = value.detach().double(), expected.detach().double()
    return float((value - expected).norm() / expected.norm())


def library_convs(module: nn.Module) -> list[nn.Module]:
    """R2Convs inside ``module`` in the order of registration."""
    return [m for m in module.modules() if library_of(m) and type(m).__name__ == "R2Conv"]


def native_convs(module: nn.Module) -> list[nn.Module]:
    """Our steerable convolutions inside ``module`` in the order of registration."""
    return [m for m in module.modules() if isinstance(m, GroupConv2d | TrivialConv2d)]


def plain_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that both sides hold in the same form: norms, gates and heads."""
    convs = {id(p) for conv in (*library_convs(module), *native_convs(module)) for p in conv.parameters()}
    return [p for p in module.parameters() if p.requires_grad and id(p) not in convs]


def parity_error(
    reference: Callable, native: Callable, module_r: nn.Module, module_n: nn.Module, x: Tensor
) -> dict[str, float]:
    """Return relative errors of outputs and of the gradients of one random projection of them.

    ``reference`` and ``native`` map a tensor to a tensor through ``module_r`` and ``module_n``. Keys:
    "outputs", "input gradient" and "weight gradient" (the largest over all parameters).
    """
    x_r, x_n = x.clone().requires_grad_(), x.clone().requires_grad_()
    y_r, y_n = reference(x_r), native(x_n)
    probe = torch.randn(y_r.shape, generator=torch.Generator().manual_seed(1)).to(y_r)
    (y_r * probe).sum().backward()
    (y_n * probe).sum().backward()
    convs_r, convs_n = library_convs(module_r), native_convs(module_n)
    assert len(convs_r) == len(convs_n)
    pairs = [(p.grad, q.grad) for p, q in zip(plain_parameters(module_r), plain_parameters(module_n), strict=True)]
    for conv_r, conv_n in zip(convs_r, convs_n, strict=True):
        change = torch.from_numpy(basis_change(conv_r, conv_n))
        pairs.append((conv_r.weights.grad, (conv_n.weight.grad.double().flatten(2) @ change.T).reshape(-1)))
        if conv_r.bias is not None:
            pairs.append((conv_r.bias.grad, conv_n.bias.grad * bias_scale(conv_r)))
    # A bias before a batch norm has no gradient but rounding; it counts against the other gradients.
    floor = 0.1 * max((float(expected.norm()) for expected, _ in pairs), default=0.0)
    errors = [float((value - expected).norm()) / max(float(expected.norm()), floor) for expected, value in pairs]
    return {
        "outputs": relative(y_n, y_r),
        "input gradient": relative(x_n.grad, x_r.grad),
        "weight gradient": max(errors, default=0.0),
    }


def assert_parity(
    reference: Callable, native: Callable, module_r: nn.Module, module_n: nn.Module, x: Tensor, limit: float
) -> None:
    """Check :func:`parity_error` against ``limit``.

    Gradients of ReLU and of maxima jump: where rounding decides a tie, one float32 gradient in many
    differs by a finite amount, in the library's own two runs as well. Such a batch is replaced by
    another, at most twice, and may not differ by more than a tenth: which batch has a tie differs by processor.
    """
    generator = torch.Generator().manual_seed(2)
    for _ in range(3):
        for module in (module_r, module_n):
            training = module.training
            module.train().train(training)  # in eval mode the libraries keep a filter that allows one backward pass
            module.zero_grad()
        errors = parity_error(reference, native, module_r, module_n, x)
        assert errors["outputs"] <= limit, errors
        assert max(errors.values()) <= max(limit, 0.1 if x.dtype == torch.float32 else 0.0), errors
        if max(errors.values()) <= limit:
            return
        x = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    raise AssertionError(f"three batches in a row differ by more than {limit}: {errors}")
