"""A trained score as the prior of images in physical units. Legend: B batch, H W pixels."""

from __future__ import annotations

from torch import Tensor, nn

from equirgz.errors import require


class NetworkPrior:
    """``(x_BHW, level) -> score`` of images that are ``unit_jy`` times those that the network was trained on.

    ``score(x) = network(x / unit, level / unit) / unit``. The pixels must be those of the training:
    ``model.check_scale(prior.pixel_scale_arcsec)`` says so.

    Parameters
    ----------
    network : a :class:`~equirgz.objectives.heads.maps.ScoreNetwork` of one channel; it is put into eval mode.
    pixel_scale_arcsec : of the training images.
    unit_jy : Jy per pixel of one unit of the training images.
    """

    def __init__(self, network: nn.Module, pixel_scale_arcsec: float, unit_jy: float = 1.0) -> None:
        require(unit_jy > 0, "unit_jy", expected="a positive number", got=unit_jy)
        require(pixel_scale_arcsec > 0, "pixel_scale_arcsec", expected="a positive number", got=pixel_scale_arcsec)
        self.network, self.unit_jy, self.pixel_scale_arcsec = network.eval(), unit_jy, pixel_scale_arcsec
        for parameter in network.parameters():
            parameter.requires_grad_(False)

    def __call__(self, x_BHW: Tensor, level: float) -> Tensor:
        level_B = x_BHW.new_full((len(x_BHW),), level / self.unit_jy)
        return self.network(x_BHW[:, None] / self.unit_jy, level_B)[:, 0] / self.unit_jy
