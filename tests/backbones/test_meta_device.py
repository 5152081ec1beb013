"""Networks that were built on, or moved to, the meta device: right numbers, or no numbers."""

import copy
import gc

import pytest
import torch

from equirgz import create_backbone, list_backbones
from equirgz.geometry.action import disk_mask
from equirgz.nn.derived import DerivedBuffers

OPTIONS = {
    "steerable_transformer": [{}, {"window": 2}],
    "steerable_vit": [{}, {"equivariant_blocks": 1, "depth": 2, "readout": "max_filter"}],
}
CASES = [(name, options) for name in list_backbones() for options in OPTIONS.get(name, [{}])]


def make(name: str, options: dict) -> torch.nn.Module:
    group = "D4" if name.startswith("steerable") else "C1"
    return create_backbone(name, group=group, image_size=33, width=0.25, **options).eval()


def fill_freed_memory() -> None:
    """Leave numbers that are wrong for every buffer in the memory that ``to_empty`` may be given."""
    junk = [torch.full((2**k,), 7e7) for k in range(4, 18) for _ in range(3)]
    del junk
    gc.collect()


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_every_way_over_the_meta_device_gives_the_same_network(name, options):
    net = make(name, options)
    x_BCHW = net.make_example()
    expected = net(x_BCHW)
    with torch.device("meta"):
        bare = make(name, options)
    assert all(p.is_meta for p in bare.parameters())
    assigned = copy.deepcopy(bare)
    assigned.load_state_dict(net.state_dict(), assign=True)
    fill_freed_memory()
    emptied = bare.to_empty(device="cpu")
    there_and_back = copy.deepcopy(net).to("meta").to_empty(device="cpu")
    for other in (emptied, there_and_back):
        other.load_state_dict(net.state_dict())
    for other in (emptied, there_and_back, assigned):
        assert torch.equal(other.eval()(x_BCHW), expected)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_every_tensor_that_is_not_saved_belongs_to_a_layer_that_makes_it_anew(name, options):
    net = make(name, options)
    for path, module in net.named_modules():
        if module._non_persistent_buffers_set:
            assert isinstance(module, DerivedBuffers), path
            assert module._non_persistent_buffers_set == set(module.exact_buffers()), path


def test_a_mask_first_asked_for_on_the_meta_device_or_in_inference_mode_is_right_for_all_later():
    with torch.device("meta"):
        disk_mask(38, 0.25)
    assert disk_mask(38, 0.25).sum() > 0
    with torch.inference_mode():
        disk_mask(39, 0.25)
    x = torch.ones(39, 39, requires_grad=True)
    (x * disk_mask(39, 0.25, like=x)).sum().backward()
    assert torch.equal(x.grad, disk_mask(39, 0.25))


def test_a_default_dtype_of_float64_keeps_exact_buffers():
    torch.set_default_dtype(torch.float64)
    try:
        net = create_backbone("steerable_cnn", group="D4", image_size=17, width=0.1)
        assert all(b.dtype != torch.float32 for b in net.buffers())
        assert net(torch.randn(1, 1, 17, 17)).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
