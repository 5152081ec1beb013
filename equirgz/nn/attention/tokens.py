"""Attention among tokens of which some are not there. Legend: B batch, P tokens, D numbers of a token, H heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import require


class TokenAttention(nn.Module):
    """``softmax(q k^T / sqrt(d)) v`` over the tokens that are known, several heads (arXiv 1706.03762).

    Shape: token_BPD and known_BP (bool, one token or more of each row) -> token_BPD. Unknown tokens are asked nothing.
    """

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        mend = "give a multiple of the heads"
        require(dimension % heads == 0, "attention", expected=f"a multiple of {heads}", got=dimension, mend=mend)
        self.heads = heads
        self.pair = nn.Linear(dimension, 3 * dimension, bias=False)
        self.out = nn.Linear(dimension, dimension)

    def split(self, token_BPD: Tensor) -> tuple[Tensor, ...]:
        """Return queries, keys and values, (B, H, P, D / H) each."""
        return tuple(part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.pair(token_BPD).chunk(3, -1))

    def forward(self, token_BPD: Tensor, known_BP: Tensor) -> Tensor:
        query, key, value = self.split(token_BPD)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=known_BP[:, None, None, :])
        return self.out(found.transpose(1, 2).flatten(2))

    def received(self, token_BPD: Tensor, known_BP: Tensor) -> Tensor:
        """Return the attention that each token receives, (B, P), averaged over heads and known tokens; sum 1."""
        query, key, _ = self.split(token_BPD)
        score = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).masked_fill(
            ~known_BP[:, None, None, :], -torch.inf
        )
        share_BPP = score.softmax(-1).mean(1) * known_BP[:, :, None]
        return share_BPP.sum(1) / known_BP.sum(1, keepdim=True)

    def multiply_adds(self, tokens: int, dimension: int) -> int:
        """Return those of one row: the linear layers and both products."""
        return 4 * tokens * dimension**2 + 2 * tokens**2 * dimension
