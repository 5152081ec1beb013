"""An equirgz encoder in a training loop that knows nothing of equirgz: scikit-learn's digits, upright and turned.

python benchmarks/examples/encoder_in_a_loop.py        (under a minute)
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

import equirgz


def load_two_digits(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images (N, 1, size, size) of zeros and ones, and their labels (N,)."""
    images, labels = load_digits(n_class=2, return_X_y=True)
    x_NCHW = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return interpolate(x_NCHW, size=(size, size), mode="bilinear"), torch.tensor(labels)


def main(group: str = "C4", epochs: int = 10) -> dict[str, float]:
    """Train on upright digits; return the share of right answers on held-out ones, upright and turned by 90 degrees."""
    torch.manual_seed(0)
    x_NCHW, y_N = load_two_digits(17)
    encoder = equirgz.create_backbone("steerable_lenet", group=group, image_size=17, width=0.5)
    model = nn.Sequential(encoder, nn.Linear(encoder.num_features, 2))  # a plain nn.Module
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(240).split(32):
            loss = cross_entropy(model(x_NCHW[batch]), y_N[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        tests = {"upright": x_NCHW[240:], "turned": x_NCHW[240:].rot90(1, (2, 3))}
        return {name: (model(x).argmax(1) == y_N[240:]).float().mean().item() for name, x in tests.items()}


if __name__ == "__main__":
    for name in ("C1", "C4"):
        print(name, main(name))
