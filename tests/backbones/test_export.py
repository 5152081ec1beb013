"""Export: every backbone through torch.export, ONNX, tracing and full-graph compilation."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from equirgz import list_backbones
from equirgz.backbones import export_onnx
from equirgz.errors import InputError
from tests.backbones.test_contract import build, images, shake

# torch's own exporter warns of its own internals
exporting = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(params=list_backbones())
def backbone(request):
    return shake(build(request.param)).eval()


def test_torch_export(backbone):
    x_BCHW = images(backbone)
    program = torch.export.export(backbone.to_plain(), (x_BCHW,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    more_BCHW = images(backbone, 3, seed=5)
    torch.testing.assert_close(program.module()(more_BCHW), backbone(more_BCHW), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Converting a tensor:torch.jit.TracerWarning:torch.nn.functional")  # GroupNorm's own
def test_trace(backbone):
    traced = torch.jit.trace(backbone.to_plain(), images(backbone))
    more_BCHW = images(backbone, 3, seed=5)
    torch.testing.assert_close(traced(more_BCHW), backbone(more_BCHW), rtol=1e-5, atol=1e-5)


def test_full_graph_compile_of_native_and_plain(backbone):
    """The whole network is one graph, in training and in eval (no code generator, so no compiler needed)."""
    x_BCHW = images(backbone)
    expected = backbone(x_BCHW)
    for network in (backbone, backbone.to_plain()):
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        with torch.no_grad():  # the gradients' graph is that of training, below
            torch.testing.assert_close(compiled(x_BCHW), expected, rtol=1e-5, atol=1e-5)
        torch._dynamo.reset()
    compiled = torch.compile(backbone.train(), fullgraph=True, backend="aot_eager")
    compiled(x_BCHW).sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())
    torch._dynamo.reset()


@exporting
def test_onnx_with_a_dynamic_batch(backbone, tmp_path):
    import onnxruntime

    path = tmp_path / "encoder.onnx"
    export_onnx(backbone.to_plain(), path, backbone.image_size)
    assert [p.name for p in tmp_path.iterdir()] == ["encoder.onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for n in (1, 3):
        x_BCHW = images(backbone, n, seed=n)
        (h_BF,) = session.run(None, {"images": x_BCHW.numpy()})
        np.testing.assert_allclose(h_BF, backbone(x_BCHW).detach().numpy(), rtol=1e-4, atol=1e-5)


@exporting
def test_onnx_of_invariants_in_the_middle(tmp_path):
    """Power spectra, learnt templates and plain blocks are ordinary operators."""
    import onnxruntime

    options = {"fields": 4, "heads": 2, "depth": 2, "equivariant_blocks": 1, "readout": "max_filter", "width": 1.0}
    backbone = shake(build("steerable_vit", **options)).eval()
    export_onnx(backbone.to_plain(), tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx", providers=["CPUExecutionProvider"])
    x_BCHW = images(backbone, 3)
    (h_BF,) = session.run(None, {"images": x_BCHW.numpy()})
    np.testing.assert_allclose(h_BF, backbone(x_BCHW).detach().numpy(), rtol=1e-4, atol=1e-5)


@exporting
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_onnx_takes_size_and_channels_from_the_network_and_is_float32(tmp_path, dtype):
    import onnxruntime

    encoder = shake(build("steerable_cnn", group="D4", in_channels=3)).eval().to(dtype)
    plain = encoder.to_plain()
    export_onnx(plain, tmp_path / "encoder.onnx")
    assert next(plain.parameters()).dtype == dtype
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx", providers=["CPUExecutionProvider"])
    x_BCHW = torch.randn(3, 3, encoder.image_size, encoder.image_size)
    (h_BF,) = session.run(None, {"images": x_BCHW.numpy()})
    np.testing.assert_allclose(h_BF, encoder.float()(x_BCHW).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("what", "value"), [("image_size", 21), ("in_channels", 3)])
def test_onnx_of_another_shape_than_the_networks_is_refused(tmp_path, what, value):
    encoder = build("steerable_cnn", group="D4")
    with pytest.raises(InputError, match=f"export_onnx {what}: expected .*, got {value}; leave {what} out"):
        export_onnx(encoder.to_plain(), tmp_path / "encoder.onnx", **{what: value})


@exporting
def test_an_exported_d8_encoder_runs_where_equirgz_is_not_importable(tmp_path):
    encoder = shake(build("steerable_cnn", group="D8")).eval()
    x_BCHW = images(encoder, 3)
    export_onnx(encoder.to_plain(), tmp_path / "encoder.onnx", encoder.image_size)
    np.save(tmp_path / "images.npy", x_BCHW.numpy())
    program = textwrap.dedent(
        """
        import sys
        sys.modules["equirgz"] = sys.modules["torch"] = None
        import numpy, onnxruntime
        session = onnxruntime.InferenceSession("encoder.onnx", providers=["CPUExecutionProvider"])
        numpy.save("features.npy", session.run(None, {"images": numpy.load("images.npy")})[0])
        try:
            import equirgz
        except ImportError:
            print("equirgz is not importable")
        """
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "equirgz is not importable"
    h_BF = np.load(tmp_path / "features.npy")
    np.testing.assert_allclose(h_BF, encoder(x_BCHW).detach().numpy(), rtol=1e-4, atol=1e-5)
