"""Golden vectors of matrix products, convolutions, pooling and interpolation: writes data/linalg.json.

Activations here are channels last, [batch, ...spatial, channels], and weights [...kernel, in / groups, out]
(transposed convolutions: [...kernel, out / groups, in]); PyTorch wants [batch, channels, ...spatial] and [out, in / groups, ...kernel].
"""

import torch
import torch.nn.functional as F

from golden import Golden, floats, ints

g = Golden("linalg")

# Matrix products

for a, b, note in [
    ((2, 3), (3, 4), "matrices"),
    ((3,), (3,), "vectors"),
    ((3,), (3, 2), "vector, matrix"),
    ((2, 3), (3,), "matrix, vector"),
    ((2, 2, 3), (3,), "batch, vector"),
    ((3,), (2, 3, 2), "vector, batch"),
    ((2, 2, 3), (3, 4), "batch, matrix"),
    ((2, 3), (2, 3, 2), "matrix, batch"),
    ((2, 1, 2, 3), (3, 3, 2), "batches broadcast"),
    ((0, 3), (3, 2), "no rows"),
    ((2, 0), (0, 3), "empty inner axis"),
    ((0, 2, 3), (3, 2), "empty batch"),
    ((5, 17), (17, 9), "odd sizes"),
]:
    g.case("matmul", torch.matmul, [floats(*a), floats(*b)], note=note)
g.case("matmul", torch.matmul, [floats(2, 3, dtype=torch.float64), floats(3, 2, dtype=torch.float64)], note="float64")
g.case("matmul", torch.matmul, [floats(2, 3, dtype=torch.float16), floats(3, 2, dtype=torch.float16)], note="float16")
g.case("matmul", torch.matmul, [floats(2, 3, dtype=torch.bfloat16), floats(3, 2, dtype=torch.bfloat16)], note="bfloat16")
g.case("matmul", torch.matmul, [ints(2, 3), ints(3, 2)], note="int32")
g.case("matmul", torch.matmul, [ints(2, 3, dtype=torch.int64), ints(3, 2, dtype=torch.int64)], note="int64")

linear = lambda x, w, b=None: F.linear(x, w.T, b)
g.case("linear", linear, [floats(3, 4), floats(4, 2), floats(2)])
g.case("linear", linear, [floats(3, 4), floats(4, 2)], note="no bias")
g.case("linear", linear, [floats(2, 3, 4), floats(4, 5), floats(5)], note="batch")
g.case("linear", linear, [floats(4), floats(4, 2), floats(2)], note="vector")
g.case("linear", linear, [floats(0, 4), floats(4, 2), floats(2)], note="no rows")

g.case("dot", torch.dot, [floats(7), floats(7)])
g.case("dot", torch.dot, [floats(0), floats(0)], note="empty")
g.case("outer", torch.outer, [floats(3), floats(4)])
g.case("outer", torch.outer, [floats(0), floats(4)], note="empty")

for equation, *shapes in [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ij,kj->ik", (2, 3), (4, 3)),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 2), (2, 2, 4, 2)),
    ("bqhd,bkhd->bhqk", (2, 3, 2, 2), (2, 4, 2, 2)),
    ("ij->ji", (2, 3)),
    ("ba", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->j", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iji->j", (2, 3, 2)),
    ("iji,ij->ij", (2, 3, 2), (2, 3)),
    ("i,i->", (4,), (4,)),
    ("i,j->ij", (2,), (3,)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij,kl->", (2, 3), (2, 2)),
    ("i,j,k->kji", (2,), (3,), (2,)),
    ("ij,jk,kl->il", (2, 3), (3, 2), (2, 4)),
    ("bn,anm,bm->ba", (2, 3), (4, 3, 2), (2, 2)),
    ("...ij,...jk->...ik", (2, 2, 3), (3, 2)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (3, 3, 2)),
    ("i...,i...->...", (3, 2, 2), (3, 2)),
    ("...i->...", (2, 3)),
    ("...", (2, 3)),
    ("...ii->...i", (2, 3, 3)),
    (",ij->ij", (), (2, 3)),
    ("ij,jk->ik", (2, 0), (0, 3)),
]:
    g.case("einsum", torch.einsum, [equation, *[floats(*s) for s in shapes]], note=f"{equation} {len(shapes[0])}")

# Convolutions


def channels_first(x):
    return x.movedim(-1, 1)


def channels_last(x):
    return x.movedim(1, -1)


def weights(w):
    """[...kernel, in, out] -> [out, in, ...kernel]."""
    return w.movedim(-1, 0).movedim(-1, 1)


def torch_options(o, **names):
    """Options in PyTorch's names; those of no meaning there are left out."""
    return {names.get(k, k): v for k, v in o.items() if k != "returnIndices"}


def convolution(function):
    def call(x, w, o={}):
        return channels_last(function(channels_first(x), weights(w), **torch_options(o, outputPadding="output_padding")))

    return call


for axes in (1, 2, 3):
    conv = convolution([F.conv1d, F.conv2d, F.conv3d][axes - 1])
    transposed = convolution([F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][axes - 1])
    size = ((5,), (5, 4), (3, 5, 2))[axes - 1]
    kernel = ((3,), (3, 2), (2, 3, 2))[axes - 1]
    per_axis = lambda *values: list(values[:axes])
    for cin, cout, groups, options, note in [
        (2, 3, 1, {}, "plain"),
        (2, 3, 1, {"bias": floats(3)}, "bias"),
        (2, 2, 1, {"stride": 2, "padding": 1, "bias": floats(2)}, "stride, padding"),
        (2, 2, 1, {"stride": per_axis(2, 1, 3), "padding": per_axis(2, 0, 1), "dilation": per_axis(1, 2, 1)}, "each axis its own"),
        (4, 6, 2, {"padding": 1}, "groups"),
        (3, 3, 3, {"padding": 1, "bias": floats(3)}, "depthwise"),
        (2, 4, 2, {"padding": 1, "stride": 2}, "depthwise, two out each"),
        (2, 3, 1, {"dilation": 2, "padding": 2}, "dilation"),
        (2, 2, 1, {"padding": "same"}, "same"),
        (2, 2, 1, {"padding": "same", "dilation": 2}, "same, dilation"),
        (2, 2, 1, {"padding": "valid"}, "valid"),
    ]:
        args = [floats(2 if axes == 1 else 1, *size, cin), floats(*kernel, cin // groups, cout)]
        o = {**options, **({"groups": groups} if groups > 1 else {})}
        g.case(f"conv{axes}d", conv, [*args, o] if o else args, note=note)
    g.case(f"conv{axes}d", conv, [floats(1, *size, 3), floats(*[1] * axes, 3, 2)], note="kernel of 1")
    g.case(f"conv{axes}d", conv, [floats(0, *size, 2), floats(*kernel, 2, 2)], note="empty batch")
    g.case(f"conv{axes}d", conv, [floats(1, *size, 2, dtype=torch.float64), floats(*kernel, 2, 2, dtype=torch.float64)], note="float64")

    size = ((3,), (3, 2), (2, 2, 2))[axes - 1]
    for cin, cout, groups, options, note in [
        (2, 3, 1, {}, "plain"),
        (2, 3, 1, {"bias": floats(3)}, "bias"),
        (2, 2, 1, {"stride": 2, "padding": 1, "bias": floats(2)}, "stride, padding"),
        (2, 2, 1, {"stride": 2, "padding": 1, "outputPadding": 1}, "output padding"),
        (2, 2, 1, {"stride": per_axis(2, 1, 3), "padding": per_axis(1, 0, 1), "outputPadding": per_axis(1, 0, 2)}, "each axis its own"),
        (4, 6, 2, {"stride": 2}, "groups"),
        (3, 3, 3, {"bias": floats(3)}, "depthwise"),
        (2, 3, 1, {"dilation": 2}, "dilation"),
    ]:
        args = [floats(2 if axes == 1 else 1, *size, cin), floats(*kernel, cout // groups, cin)]
        o = {**options, **({"groups": groups} if groups > 1 else {})}
        g.case(f"convTranspose{axes}d", transposed, [*args, o] if o else args, note=note)

# Pooling


def distinct(*shape):
    """Numbers of which no two are equal, so that the largest is one."""
    n = torch.Size(shape).numel()
    floats.calls += 1
    order = torch.randperm(n, generator=torch.Generator().manual_seed(floats.calls))
    return ((order - n // 2) / 16).reshape(shape).float()


def max_pool(function):
    def call(x, k, o={}):
        y, i = function(channels_first(x), k, **torch_options(o, ceilMode="ceil_mode"), return_indices=True)
        return [channels_last(y), channels_last(i).to(torch.int32)] if o.get("returnIndices") else channels_last(y)

    return call


def avg_pool(function):
    def call(x, k, o={}):
        names = {"ceilMode": "ceil_mode", "countIncludePad": "count_include_pad", "divisor": "divisor_override"}
        return channels_last(function(channels_first(x), k, **torch_options(o, **names)))

    return call


def adaptive_pool(function):
    return lambda x, n: channels_last(function(channels_first(x), n))


for axes in (1, 2, 3):
    size = ((7,), (7, 6), (5, 4, 4))[axes - 1]
    per_axis = lambda *values: list(values[:axes])
    x = lambda: distinct(2 if axes == 1 else 1, *size, 2 if axes < 3 else 1)
    pool = max_pool([F.max_pool1d, F.max_pool2d, F.max_pool3d][axes - 1])
    for k, o in [
        (2, {}),
        (3, {"stride": 2, "padding": 1}),
        (3, {"stride": 1}),
        (2, {"ceilMode": True}),
        (3, {"stride": 2, "padding": 1, "ceilMode": True}),
        (2, {"stride": 3, "padding": 1, "ceilMode": True}),
        (2, {"dilation": 2, "stride": 1}),
        (3, {"dilation": 2, "stride": 2, "padding": 1, "ceilMode": True}),
        (2, {"returnIndices": True}),
        (3, {"stride": 2, "padding": 1, "ceilMode": True, "returnIndices": True}),
        (per_axis(3, 2, 2), {"stride": per_axis(2, 1, 2), "padding": per_axis(1, 0, 1)}),
    ]:
        g.case(f"maxPool{axes}d", pool, [x(), k, o] if o else [x(), k], note=str(o))
    g.case(f"maxPool{axes}d", pool, [torch.zeros(1, *size, 1), 2, {"returnIndices": True}], note="all equal: the first")

    pool = avg_pool([F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][axes - 1])
    for k, o in [
        (2, {}),
        (3, {"stride": 2, "padding": 1}),
        (3, {"stride": 2, "padding": 1, "countIncludePad": False}),
        (2, {"ceilMode": True}),
        (3, {"stride": 2, "padding": 1, "ceilMode": True}),
        (2, {"stride": 3, "padding": 1, "ceilMode": True}),
        (3, {"stride": 2, "padding": 1, "ceilMode": True, "countIncludePad": False}),
        (per_axis(3, 2, 2), {"stride": per_axis(2, 1, 2), "padding": per_axis(1, 0, 1)}),
        *([(2, {"divisor": 3}), (3, {"stride": 2, "padding": 1, "ceilMode": True, "divisor": 5})] if axes > 1 else []),
    ]:
        g.case(f"avgPool{axes}d", pool, [x(), k, o] if o else [x(), k], note=str(o))

    for mode in ("Avg", "Max"):
        function = getattr(F, f"adaptive_{mode.lower()}_pool{axes}d")
        for n in (1, 2, 3, *([4, 7] if axes < 3 else []), per_axis(3, 6, 2)):
            g.case(f"adaptive{mode}Pool{axes}d", adaptive_pool(function), [x(), n], note=str(n))

# Interpolation


def interpolate(x, o):
    mode = o.get("mode", "nearest")
    if mode == "linear":
        mode = ("linear", "bilinear", "trilinear")[x.dim() - 3]
    if mode == "cubic":
        mode = "bicubic"
    scale = o.get("scale")
    align = {"align_corners": o["alignCorners"]} if "alignCorners" in o else {}
    scale = tuple(scale) if isinstance(scale, list) else scale
    more = {"antialias": o["antialias"]} if "antialias" in o else {}
    return channels_last(F.interpolate(channels_first(x), size=o.get("size"), scale_factor=scale, mode=mode, **align, **more))


for axes in (1, 2, 3):
    size = (3, 4, 2)[:axes]
    per_axis = lambda *values: list(values[:axes])
    for o in [
        {"size": 5 if axes < 3 else 3},
        {"size": per_axis(2, 3, 4)},
        {"scale": 2},
        {"scale": 1.5},
        {"scale": per_axis(2, 0.5, 1)},
    ]:
        for mode in ({}, {"mode": "nearest-exact"}, {"mode": "linear"}, {"mode": "linear", "alignCorners": True}):
            g.case("interpolate", interpolate, [floats(1, *size, 2 if axes < 3 else 1), {**o, **mode}], note=f"{axes} axes {o} {mode}")
g.case("interpolate", interpolate, [floats(1, 4, 2), {"size": 1, "mode": "linear", "alignCorners": True}], note="to one sample")
g.case("interpolate", interpolate, [floats(1, 1, 2), {"size": 3, "mode": "linear"}], note="from one sample")
for o in [{"size": [5, 3]}, {"size": 2}, {"scale": 1.5}, {"size": [6, 6], "alignCorners": True}]:
    g.case("interpolate", interpolate, [floats(1, 3, 4, 2), {**o, "mode": "cubic"}], note=f"cubic {o}")
for mode in ("linear", "cubic"):
    for o in [{"size": [3, 4]}, {"size": [2, 9]}, {"scale": 0.3}, {"size": 1}]:
        g.case("interpolate", interpolate, [floats(1, 8, 7, 1), {**o, "mode": mode, "antialias": True}], note=f"antialiased {mode} {o}")


# Sampling at positions


def grid_sample(x, grid, o={}):
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(o.get("mode", "linear"), "nearest")
    padding = o.get("padding", "zeros")
    return channels_last(F.grid_sample(channels_first(x), grid, mode=mode, padding_mode=padding, align_corners=o.get("alignCorners", False)))


def affine_grid(theta, size, o={}):
    return F.affine_grid(theta, [theta.shape[0], 1, *size], align_corners=o.get("alignCorners", False))


for mode in ("linear", "nearest", "cubic"):
    for padding in ("zeros", "border", "reflection"):
        for align in (False, True):
            o = {"mode": mode, "padding": padding, "alignCorners": align}
            g.case("gridSample", grid_sample, [floats(2, 3, 4, 2), floats(2, 2, 3, 2, low=-1.57, high=1.61), o], note=f"{o}")
g.case("gridSample", grid_sample, [floats(1, 2, 3, 2, 1), floats(1, 2, 1, 2, 3, low=-1.2, high=1.2), {"padding": "border"}], note="volume")
for align in (False, True):
    g.case("affineGrid", affine_grid, [floats(2, 2, 3), [3, 4], {"alignCorners": align}], note=f"{align}")
    g.case("affineGrid", affine_grid, [floats(1, 3, 4), [2, 1, 3], {"alignCorners": align}], note=f"volume {align}")

# Vectors


def cdist(a, b, o={}):
    return torch.cdist(a, b, p=o.get("p", 2.0), compute_mode="donot_use_mm_for_euclid_dist")


def normalize(x, o={}):
    return F.normalize(x, p=o.get("p", 2.0), dim=o.get("axis", -1), eps=o.get("eps", 1e-12))


def tensordot(a, b, o={}):
    return torch.tensordot(a, b, dims=o.get("axes", 2))


for a, b, o in [((3, 4), (5, 4), {}), ((2, 3, 2), (4, 2), {"p": 1.0}), ((3, 2), (2, 2, 2), {"p": 3.0}), ((2, 3), (3, 3), {"p": float("inf")}), ((2, 3), (4, 3), {"p": 0.0}), ((0, 3), (2, 3), {})]:
    g.case("cdist", cdist, [floats(*a), floats(*b), o], note=f"{a} {o}")
same = floats(3, 2)
g.case("cdist", cdist, [same, same], note="to themselves")
for shape, o in [((3, 4), {}), ((2, 3, 2), {"axis": 1, "p": 1.0}), ((2, 3), {"axis": 0, "eps": 3.0})]:
    g.case("normalize", normalize, [floats(*shape), o], note=f"{o}")
g.case("normalize", normalize, [torch.zeros(2, 3)], note="zeros")
g.case("cross", lambda a, b, o={}: torch.linalg.cross(a, b, dim=o.get("axis", -1)), [floats(4, 3), floats(4, 3)])
g.case("cross", lambda a, b, o={}: torch.linalg.cross(a, b, dim=o.get("axis", -1)), [floats(1, 3, 2), floats(2, 3, 1), {"axis": 1}], note="axis, batches")
for a, b, axes in [((2, 3, 4), (3, 4, 2), 2), ((2, 3), (4, 2), [[0], [1]]), ((2, 3, 4), (4, 3, 5), [[2, 1], [0, 1]]), ((2,), (3,), 0)]:
    g.case("tensordot", tensordot, [floats(*a), floats(*b), {"axes": axes}], note=f"{axes} {len(a)}")
g.case("diff", lambda x, o={}: torch.diff(x, n=o.get("n", 1), dim=o.get("axis", -1)), [floats(3, 4)])
g.case("diff", lambda x, o={}: torch.diff(x, n=o.get("n", 1), dim=o.get("axis", -1)), [floats(4, 2), {"n": 2, "axis": 0}], note="twice")
g.case("diff", torch.diff, [floats(5) > 0], note="bools")
g.case("diff", torch.diff, [ints(4)], note="int32")

g.write()
