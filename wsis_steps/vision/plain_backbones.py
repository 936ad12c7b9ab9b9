"""The layers of torchvision's backbones and of this package's own, with random weights."""

from torch import Tensor, nn

# layers; for each level the names of the submodules that lead to it; channels and strides of the levels
Parts = tuple[dict[str, nn.Module], list[list[str]], tuple[int, ...], tuple[int, ...]]


def build_parts(family: str, name: str, output_stride: int) -> Parts:
    """Layers and levels of vgg16, a ResNet, mobilenet_v2 or small; strides beyond `output_stride` become dilation."""
    if family == "resnet":
        return _resnet(name, output_stride)
    return {"vgg": _vgg16, "mobilenet_v2": _mobilenet_v2, "small": _small}[family](output_stride)


# torchvision is imported inside functions, since that takes seconds, which every step would pay for
def _vgg16(output_stride: int) -> Parts:
    from torchvision.models.vgg import cfgs, make_layers

    features = make_layers(cfgs["D"], batch_norm=False)
    ends, channels, strides = (4, 9, 16, 23, 30), (64, 128, 256, 512, 512), (1, 2, 4, 8, 16)
    if output_stride == 32:
        ends, channels, strides = (*ends, 31), (*channels, 512), (*strides, 32)
    else:
        features = features[:-1]  # the last pool leads to no level
    _initialise(features)
    _limit_stride(features, output_stride)
    return {"features": features}, _cut(features, ends), channels, strides


def _resnet(name: str, output_stride: int) -> Parts:
    dilate = [False, output_stride <= 8, output_stride <= 16]
    from torchvision.models import resnet

    network = getattr(resnet, name)(weights=None, replace_stride_with_dilation=dilate)
    levels = [["conv1", "bn1", "relu", "maxpool", "layer1"], ["layer2"], ["layer3"], ["layer4"]]
    layers = {name: getattr(network, name) for names in levels for name in names}
    return layers, levels, (256, 512, 1024, 2048), (4, 8, 16, 32)


def _mobilenet_v2(output_stride: int) -> Parts:
    from torchvision.models import mobilenet_v2

    features = mobilenet_v2(weights=None).features
    _limit_stride(features, output_stride)
    levels = _cut(features, (2, 4, 7, 14, 19))
    return {"features": features}, levels, (16, 24, 32, 96, 1280), (2, 4, 8, 16, 32)


def _small(output_stride: int) -> Parts:
    """Four levels of one strided and one residual convolution each, for images of about 100 px on a CPU.

    At stride 32 a pool follows, so the same weights fit any stride.
    """
    channels, ends, strides = (24, 48, 96, 160), (2, 4, 6, 8), (2, 4, 8, 16)
    features = nn.Sequential()
    for before, width in zip((3, *channels), channels, strict=False):
        features.append(_convolution(before, width, stride=2))
        features.append(_Residual(_convolution(width, width)))
    if output_stride == 32:
        features.append(nn.MaxPool2d(3, stride=2, padding=1))
        channels, ends, strides = (*channels, 160), (*ends, 9), (*strides, 32)
    _initialise(features)
    _limit_stride(features, output_stride)
    return {"features": features}, _cut(features, ends), channels, strides


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def _convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _cut(features: nn.Sequential, ends: tuple[int, ...]) -> list[list[str]]:
    """Names of the layers of each level; level i ends before layer ends[i]."""
    return [[f"features.{i}" for i in range(a, b)] for a, b in zip((0, *ends), ends, strict=False)]


def _initialise(features: nn.Module) -> None:
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _limit_stride(features: nn.Module, output_stride: int) -> None:
    """Removes strides beyond `output_stride`; each removed stride multiplies the dilation of the layers after it.

    Layers must be registered in forward order, without strided side branches. A pool that loses its stride becomes
    3 x 3, so that it is centered on its pixel.
    """
    stride = dilation = 1
    for module in features.modules():
        if not isinstance(module, nn.Conv2d | nn.MaxPool2d):
            continue
        own = module.stride if isinstance(module.stride, int) else module.stride[0]
        removed = own > 1 and stride * own > output_stride
        if isinstance(module, nn.MaxPool2d):
            if removed:
                module.kernel_size, module.stride, module.padding = 3, 1, 1
        else:
            if removed:
                module.stride = (1, 1)
            if module.kernel_size == (3, 3):
                module.dilation = module.padding = (dilation, dilation)
        if removed:
            dilation *= own
        else:
            stride *= own
