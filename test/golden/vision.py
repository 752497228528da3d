"""Golden vectors of `vision` from torchvision 0.29.2: pip install torch==2.13.0 torchvision pillow numpy."""

import torch

# A wheel of torchvision for another build of PyTorch lacks compiled ops, none of which is used here.
register = torch.library.register_fake
torch.library.register_fake = lambda op, *a, **k: (lambda f: f) if str(op).startswith("torchvision::") else register(op, *a, **k)

import torchvision.transforms.v2.functional as F
from torchvision.transforms import InterpolationMode

from golden import Golden, floats, ints

g = Golden("vision")
modes = {"nearest": InterpolationMode.NEAREST, "linear": InterpolationMode.BILINEAR, "cubic": InterpolationMode.BICUBIC}


def on_images(f):
    """`f` on images with channels first, of images with channels last."""

    def call(x, *rest):
        return f(x.movedim(-1, -3), *rest).movedim(-3, -1)

    return call


def images(*shape):
    return floats(*shape, low=0.0, high=1.0)


def bytes_(*shape):
    return ints(*shape, low=0, high=256, dtype=torch.uint8)


def each(name, f, *rests, shape=(2, 5, 6, 3), grad=None, atol=1.01):
    for rest in rests or ([],):
        g.case(name, on_images(f), [images(*shape), *rest], note=f"float {rest}", grad=grad)
        # The peer cuts off where we round.
        g.case(name, on_images(f), [bytes_(*shape), *rest], note=f"uint8 {rest}", grad=False, atol=atol)


each("adjustBrightness", F.adjust_brightness, [0.5], [1.7])
each("adjustContrast", F.adjust_contrast, [0.0], [0.4], [1.9])
each("adjustSaturation", F.adjust_saturation, [0.0], [0.4], [1.9])
each("adjustHue", F.adjust_hue, [0.1], [-0.4], [0.5], grad=False)
each("adjustSharpness", F.adjust_sharpness, [0.0], [1.6], grad=False)
each("adjustGamma", F.adjust_gamma, [2.2], [0.5, 0.8])
each("grayscale", lambda x, o={}: F.rgb_to_grayscale(x, o.get("channels", 1)), [], [{"channels": 3}])
each("invert", F.invert)
each("posterize", F.posterize, [1], [3], [8], grad=False)
each("solarize", lambda x, t: F.solarize(x, t), [0.4], grad=False)
each("autocontrast", F.autocontrast, grad=False)
each("equalize", F.equalize, shape=(2, 24, 25, 3), grad=False)
each("equalize", F.equalize, shape=(1, 4, 5, 1), grad=False)
each("horizontalFlip", F.horizontal_flip)
each("verticalFlip", F.vertical_flip)
each("gaussianBlur", lambda x, size, sigma=None: F.gaussian_blur(x, size, sigma), [3], [5, 0.8])
each("centerCrop", F.center_crop, [3], [[4, 3]])
each("crop", lambda x, r: F.crop(x, r["top"], r["left"], r["height"], r["width"]), [{"top": 1, "left": 2, "height": 3, "width": 4}])
g.case("normalize", on_images(lambda x, o: F.normalize(x, o["mean"], o["std"])), [images(2, 3, 4, 3), {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.5]}])


def resize(x, size, o={}):
    mode = modes[o.get("mode", "linear")]
    return F.resize(x, size if isinstance(size, list) else [size], interpolation=mode, antialias=o.get("antialias", True))


each("resize", resize, [[3, 4]], [3], [[3, 2], {"antialias": False}], [4, {"mode": "nearest"}])
g.case("resize", on_images(resize), [images(1, 5, 6, 2), [9, 11], {"mode": "cubic"}], note="cubic")


def affine(x, o):
    translate = [float(t) for t in o.get("translate", [0, 0])]
    shear = [float(s) for s in o.get("shear", [0, 0])]
    return F.affine(x, o.get("degrees", 0), translate, o.get("scale", 1.0), shear, modes[o.get("mode", "nearest")], fill=o.get("fill"))


each(
    "affine",
    affine,
    [{"degrees": 30, "mode": "linear"}],
    [{"degrees": -75, "mode": "linear"}],
    [{"translate": [1, -2]}],
    [{"scale": 0.6, "mode": "linear"}],
    [{"shear": [20, -10], "mode": "linear"}],
    [{"degrees": 40, "translate": [2, 1], "scale": 1.3, "shear": [5, 15], "mode": "linear"}],
    shape=(1, 7, 9, 2),
    grad=False,
)
each(
    "rotate",
    lambda x, d, o={}: F.rotate(x, d, modes[o.get("mode", "nearest")], o.get("expand", False)),
    [20, {"mode": "linear"}],
    [90, {"mode": "linear"}],
    [90, {"expand": True, "mode": "linear"}],
    shape=(1, 6, 9, 1),
    grad=False,
)
each("rotate", lambda x, d: F.rotate(x, d), [90], [-180], shape=(2, 5, 5, 1), grad=False)

g.write()
