"""Golden vectors of quantisation and of products of bytes: writes data/quantize.json."""

import math

import torch
import torch.nn.functional as F
import torch.ao.quantization.fx._decomposed  # noqa: F401 (defines the ops)

from golden import Golden, floats, ints

g = Golden("quantize")
bounds = {"int8": (-128, 127), "uint8": (0, 255), "int32": (-(2**31), 2**31 - 1)}


def quantized(x, o):
    """Rounds before it adds the zero point, as fake quantisation and ONNX's QuantizeLinear do; the older quantize_per_tensor rounds the sum."""
    name = o.get("dtype", "int8")
    dtype = getattr(torch, name)
    low, high = bounds[name]
    zero = o.get("zeroPoint", 0)
    ops = torch.ops.quantized_decomposed
    if "axis" in o:
        return ops.quantize_per_channel(x, o["scale"], zero, o["axis"], low, high, dtype)
    return ops.quantize_per_tensor(x, o["scale"], zero, low, high, dtype)


def fake(x, o):
    low, high = bounds[o.get("dtype", "int8")]
    low, high = o.get("min", low), o.get("max", high)
    if "axis" in o:
        return torch.fake_quantize_per_channel_affine(x, o["scale"].detach(), o["zeroPoint"], o["axis"], low, high)
    return torch.fake_quantize_per_tensor_affine(x, o["scale"], o.get("zeroPoint", 0), low, high)


def dequantized(q, o):
    dtype = {torch.int8: torch.qint8, torch.uint8: torch.quint8, torch.int32: torch.qint32}[q.dtype]
    if "axis" in o:
        made = torch._make_per_channel_quantized_tensor(q, o["scale"].double(), o["zeroPoint"].long(), o["axis"])
    else:
        made = torch._make_per_tensor_quantized_tensor(q, o["scale"], o.get("zeroPoint", 0))
    assert made.dtype == dtype
    return made.dequantize()


# Ties, ends of the range and beyond, of a scale that is a power of two and others.
edges = torch.tensor([0.0, -0.0, 0.25, 0.75, 1.25, -0.25, -0.75, 63.25, 63.5, 63.75, 64.0, -64.0, -64.25, -64.75, 1e9, -1e9, math.inf, -math.inf])
scales = torch.tensor([0.5, 0.03125, 0.1])
zeros = torch.tensor([0, 5, -7], dtype=torch.int32)
for options in (
    {"scale": 0.5},
    {"scale": 0.5, "zeroPoint": -3},
    {"scale": 0.25, "zeroPoint": 128, "dtype": "uint8"},
    {"scale": 0.1, "zeroPoint": 7, "dtype": "uint8"},
    {"scale": 0.013},
):
    note = " ".join(str(v) for v in options.values())
    finite = edges[:-2]
    g.case("quantize", quantized, [finite, options], note=f"edges {note}", grad=False)
    g.case("fakeQuantize", fake, [finite, options], note=f"edges {note}", grad=True)
    for name, f in (("quantize", quantized), ("fakeQuantize", fake)):
        g.case(name, f, [floats(3, 17, low=-4, high=4), options], note=note, grad=name == "fakeQuantize")
g.case("quantize", quantized, [floats(31, low=-900, high=900), {"scale": 2.0**-9, "dtype": "int32"}], note="int32", grad=False)
g.case("fakeQuantize", fake, [floats(31), {"scale": 0.1, "min": -8, "max": 7}], note="four bits")
for shape, axis in (((4, 3), 1), ((3, 5), 0), ((2, 3, 4), -2), ((2, 2, 3), 2)):
    options = {"scale": scales, "zeroPoint": zeros, "axis": axis}
    positive = {**options, "axis": axis % len(shape)}
    x = floats(*shape, low=-5, high=5)
    g.case("quantize", lambda x, o: quantized(x, positive), [x, options], note=f"per channel {shape} {axis}", grad=False)
    q = ints(*shape, low=-128, high=128, dtype=torch.int8)
    g.case("dequantize", lambda q, o: dequantized(q, positive), [q, options], note=f"per channel {shape} {axis}", grad=False)
    g.case("fakeQuantize", lambda x, o: fake(x, positive), [x, options], note=f"per channel {shape} {axis}", grad=False)
for dtype, low, high in ((torch.int8, -128, 128), (torch.uint8, 0, 256), (torch.int32, -(2**20), 2**20)):
    for options in ({"scale": 0.3}, {"scale": 0.125, "zeroPoint": 9}):
        g.case("dequantize", dequantized, [ints(4, 7, low=low, high=high, dtype=dtype), options], note=f"{dtype} {options['scale']}".replace("torch.", ""))

# Products of bytes
for a, b in ((torch.int8, torch.int8), (torch.uint8, torch.int8), (torch.uint8, torch.uint8)):
    whole = lambda shape, dtype: ints(*shape, low=-128 if dtype == torch.int8 else 0, high=128 if dtype == torch.int8 else 256, dtype=dtype)
    note = f"{a} {b}".replace("torch.", "")
    for left, right in (((5, 7), (7, 3)), ((2, 4, 9), (9, 6)), ((2, 1, 3, 5), (3, 5, 4))):
        exact = lambda x, w, o: (x.long() @ w.long()).int()
        g.case("matmul", exact, [whole(left, a), whole(right, b), {"dtype": "int32"}], note=note)
g.case("matmul", lambda x, w, o: torch._int_mm(x, w), [ints(24, 40, low=-128, high=128, dtype=torch.int8), ints(40, 16, low=-128, high=128, dtype=torch.int8), {"dtype": "int32"}], note="_int_mm")


def conv(x, w, o):
    """Channels last, in float64, which holds these sums exactly."""
    y = F.conv2d(x.double().permute(0, 3, 1, 2), w.double().permute(3, 2, 0, 1), stride=o.get("stride", 1), padding=o.get("padding", 0), dilation=o.get("dilation", 1), groups=o.get("groups", 1))
    return y.permute(0, 2, 3, 1).to(torch.int32)


for options in ({}, {"stride": 2, "padding": 1}, {"groups": 2, "dilation": 2, "padding": 2}):
    weight = ints(3, 3, 6 // options.get("groups", 1), 4, low=-128, high=128, dtype=torch.int8)
    for dtype, low, high in ((torch.int8, -128, 128), (torch.uint8, 0, 256)):
        g.case("conv2d", conv, [ints(1, 7, 6, 6, low=low, high=high, dtype=dtype), weight, {**options, "dtype": "int32"}], note=f"{dtype} {options}".replace("torch.", ""))

g.write()
