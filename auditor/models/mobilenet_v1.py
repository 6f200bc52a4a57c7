"""MobileNet (Howard et al. 2017) for small images: 3x3 stem of stride 1, thirteen depthwise-separable pairs."""

from __future__ import annotations

from auditor.models.base import Classifier, conv_unit, scaled

#: Output channels of the pairs. Behind the first one, a pair halves the image where it widens.
WIDTHS = (64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)


class MobileNetV1(Classifier):
    """Stem, pairs of a depthwise 3x3 and a pointwise 1x1 convolution, global mean, linear head.

    Parameters
    ----------
    n_classes : int
    width : float
        Multiplies all channels.
    """

    def __init__(self, n_classes: int, width: float = 1.0) -> None:
        inputs = scaled(32, width)
        units = [conv_unit(3, inputs, 3)]
        for before, channels in zip((64, *WIDTHS), WIDTHS, strict=False):
            outputs = scaled(channels, width)
            stride = 2 if channels > before else 1
            units += [conv_unit(inputs, inputs, 3, stride, inputs), conv_unit(inputs, outputs, 1)]
            inputs = outputs
        super().__init__(n_classes, inputs, units, min_size=16, fan="in")


def mobilenet_v1(n_classes: int, image_size: int = 32, width: float = 1.0) -> MobileNetV1:
    """MobileNet: 3,217,226 parameters, 46,354,432 MACs at 10 classes and 32 px."""
    return MobileNetV1(n_classes, width)
