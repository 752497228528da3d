"""Golden vectors of elementwise ops, reductions, norms and running sums: writes data/ops.json."""

import math

import torch
import torch.nn.functional as F

from golden import Golden, floats, ints

g = Golden("ops")
inf, nan = math.inf, math.nan
special = torch.tensor([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-30, 1e30, -1e30, inf, -inf, nan])
wide = torch.tensor([-90.0, -20.0, -3.0, -1e-4, 0.0, 1e-4, 0.3, 2.0, 15.0, 80.0])
bf16 = torch.bfloat16


def unary(name, f, low=-2.0, high=2.0, *, ints_too=True, extremes=True, grad=None, at=wide, rtol64=1e-12, **tolerance):
    """A function on random float32 (with gradients), float64, bfloat16 and int32 numbers, large ones and special values."""
    g.case(name, f, [floats(3, 5, low=low, high=high)], grad=grad, **tolerance)
    g.case(name, f, [floats(7, low=low, high=high, dtype=torch.float64)], note="float64", grad=grad, rtol=rtol64)
    g.case(name, f, [floats(6, low=low, high=high, dtype=bf16)], note="bfloat16", grad=False)
    if ints_too:
        g.case(name, f, [torch.tensor([-3, -1, 0, 1, 2, 7], dtype=torch.int32)], note="int32")
    if extremes:
        g.case(name, f, [at], note="wide", grad=False, **tolerance)
        g.case(name, f, [special], note="special values", grad=False, **tolerance)


# Powers, exponentials and logarithms
unary("square", torch.square)
unary("sqrt", torch.sqrt, 0.2, 4)
unary("rsqrt", torch.rsqrt, 0.2, 4)
unary("reciprocal", torch.reciprocal, 0.3, 3)
unary("exp", torch.exp)
unary("exp2", torch.exp2)
unary("expm1", torch.expm1)
unary("log", torch.log, 0.2, 4)
unary("log1p", torch.log1p, -0.7, 4)
unary("log2", torch.log2, 0.2, 4, at=torch.tensor([2.0**n for n in (-20, -3, 0, 1, 3, 10, 29)]))
unary("log10", torch.log10, 0.2, 4, at=torch.tensor([10.0**n for n in range(0, 10)]))
unary("sigmoid", torch.sigmoid)
unary("logit", torch.logit, 0.1, 0.9, ints_too=False)
g.case("logit", lambda x, o: torch.logit(x, 0.2), [floats(7, low=0, high=1), {"eps": 0.2}], note="eps")

# Trigonometry and its hyperbolic kin
unary("sin", torch.sin, -7, 7, extremes=False)
unary("cos", torch.cos, -7, 7, extremes=False)
unary("tan", torch.tan, -1.2, 1.2, extremes=False)
for name in ("sin", "cos", "tan"):
    g.case(name, getattr(torch, name), [wide], note="wide", grad=False)
unary("asin", torch.asin, -0.9, 0.9)
unary("acos", torch.acos, -0.9, 0.9)
unary("atan", torch.atan)
unary("sinh", torch.sinh)
unary("cosh", torch.cosh)
unary("tanh", torch.tanh)
unary("asinh", torch.asinh)
unary("acosh", torch.acosh, 1.2, 5)
unary("atanh", torch.atanh, -0.9, 0.9)
unary("deg2rad", torch.deg2rad)
unary("rad2deg", torch.rad2deg)

# Rounding and signs
halves = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 1.4999, 1e9])
for name in ("floor", "ceil", "trunc", "round"):
    unary(name, getattr(torch, name), at=halves)
unary("frac", torch.frac, 0.1, 3.9, ints_too=False, at=halves)
unary("neg", torch.neg)
unary("abs", torch.abs)
unary("sign", torch.sign)
unary("nanToNum", torch.nan_to_num)
g.case("nanToNum", lambda x, o: torch.nan_to_num(x, 1.0, 2.0, -3.0), [special, {"nan": 1, "posInf": 2, "negInf": -3}], grad=True)

# Questions and bits
for name, f in (("isNaN", torch.isnan), ("isInf", torch.isinf), ("isFinite", torch.isfinite), ("logicalNot", torch.logical_not)):
    g.case(name, f, [special])
    g.case(name, f, [ints(5, low=-1, high=2)], note="int32")
g.case("bitwiseNot", torch.bitwise_not, [ints(6)])
g.case("bitwiseNot", torch.bitwise_not, [ints(6, low=0, high=200, dtype=torch.uint8)], note="uint8")
g.case("bitwiseNot", torch.bitwise_not, [torch.tensor([True, False])], note="bool")

# Special functions
gamma_at = torch.tensor([-5.5, -2.25, -0.5, 1e-4, 0.5, 1.0, 1.5, 2.0, 2.75, 7.9, 8.0, 33.0, 1e6])
unary("erf", torch.erf)
unary("erfc", torch.erfc, rtol=1e-5, at=torch.tensor([-9.0, -3.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 3.9, 4.1, 8.0]))
unary("erfinv", torch.erfinv, -0.9, 0.9, at=torch.tensor([-0.9999, -0.5, 0.0, 1e-5, 0.999, 1.0, -1.0, 1.5]))
unary("lgamma", torch.lgamma, 0.3, 9, at=gamma_at, rtol=1e-5, atol=3e-6)
unary("digamma", torch.digamma, 0.3, 9, at=gamma_at, rtol64=1e-9, rtol=1e-5, atol=3e-6)  # its gradient is good to 1e-10 in PyTorch
unary("sinc", torch.sinc, 0.2, 3, at=torch.tensor([0.0, 1e-4, 0.5, 3.25]))

# Activations
unary("relu", torch.relu)
unary("relu6", F.relu6, -3, 9)
unary("leakyRelu", F.leaky_relu, ints_too=False)
g.case("leakyRelu", lambda x, o: F.leaky_relu(x, 0.3), [floats(3, 5), {"negativeSlope": 0.3}])
unary("elu", F.elu, ints_too=False)
g.case("elu", lambda x, o: F.elu(x, 0.5), [floats(3, 5), {"alpha": 0.5}])
unary("celu", F.celu, ints_too=False)
g.case("celu", lambda x, o: F.celu(x, 0.5), [floats(3, 5), {"alpha": 0.5}])
unary("selu", F.selu, ints_too=False)
unary("gelu", F.gelu, ints_too=False, extremes=False)
g.case("gelu", F.gelu, [wide], note="wide", grad=False)
g.case("gelu", lambda x, o: F.gelu(x, approximate="tanh"), [floats(3, 5), {"approximate": "tanh"}])
unary("silu", F.silu, ints_too=False, extremes=False)
g.case("silu", F.silu, [wide], note="wide", grad=False)
unary("mish", F.mish, ints_too=False, extremes=False)
g.case("mish", F.mish, [wide], note="wide", grad=False)
unary("softplus", F.softplus, ints_too=False)
g.case("softplus", lambda x, o: F.softplus(x, 2, 1.5), [floats(3, 5), {"beta": 2, "threshold": 1.5}])
unary("softsign", F.softsign, ints_too=False, extremes=False)
unary("hardSigmoid", F.hardsigmoid, -4, 4, ints_too=False, rtol64=1e-7)  # PyTorch multiplies by a float32 1/6
unary("hardSwish", F.hardswish, -4, 4, ints_too=False, extremes=False)
unary("hardTanh", F.hardtanh, ints_too=False)
g.case("hardTanh", lambda x, o: F.hardtanh(x, -0.5, 1.5), [floats(3, 5), {"min": -0.5, "max": 1.5}])
unary("logSigmoid", F.logsigmoid, ints_too=False)
# PyTorch rounds tanh to bfloat16 before it subtracts.
unary("tanhShrink", lambda x: F.tanhshrink(x.float()).to(x.dtype) if x.dtype == bf16 else F.tanhshrink(x), 0.3, 2, ints_too=False, extremes=False)
unary("softShrink", F.softshrink, ints_too=False)
g.case("softShrink", lambda x, o: F.softshrink(x, 0.2), [floats(3, 5), {"lambda": 0.2}])
unary("hardShrink", F.hardshrink, ints_too=False)
g.case("hardShrink", lambda x, o: F.hardshrink(x, 0.2), [floats(3, 5), {"lambda": 0.2}])
g.case("threshold", lambda x, o: F.threshold(x, 0.5, -1), [floats(3, 5), {"threshold": 0.5, "value": -1}])
g.case("prelu", F.prelu, [floats(3, 4), floats(4)])
g.case("prelu", F.prelu, [floats(3, 4), floats(1)], note="one weight")
g.case("glu", lambda x: F.glu(x), [floats(3, 4)])
g.case("glu", lambda x, axis: F.glu(x, axis), [floats(2, 6, 3), 1], note="axis")


def binary(name, f, low=-2.0, high=2.0, low2=None, high2=None, *, numbers=True, specials=True, grad=None, **tolerance):
    """A function of two on broadcasting float32 arrays (with gradients), mixed dtypes, a number, and special values."""
    low2, high2 = (low if low2 is None else low2), (high if high2 is None else high2)
    second = lambda *shape, **k: floats(*shape, low=low2, high=high2, **k)
    g.case(name, f, [floats(3, 5, low=low, high=high), second(3, 5)], grad=grad, **tolerance)
    g.case(name, f, [floats(4, 1, low=low, high=high), second(3)], note="broadcast", grad=grad, **tolerance)
    g.case(name, f, [floats(3, low=low, high=high, dtype=torch.float64), second(3, dtype=torch.float64)], note="float64", grad=grad)
    if numbers:
        g.case(name, f, [ints(3, 4), ints(4, low=1)], note="int32", grad=False)
        g.case(name, f, [ints(3, 4), second(4)], note="int32 with float32", grad=False, **tolerance)
        g.case(name, f, [floats(4, low=low, high=high, dtype=bf16), second(4, dtype=bf16)], note="bfloat16", grad=False)
        g.case(name, f, [floats(4, low=low, high=high, dtype=bf16), second(4)], note="bfloat16 with float32", grad=False, **tolerance)
        g.case(name, lambda a, b: f(a, torch.tensor(b)), [floats(4, low=low, high=high), 1.5], note="number", grad=grad, **tolerance)
    if specials:
        a = special.repeat_interleave(len(special))
        g.case(name, f, [a, special.repeat(len(special))], note="special values", grad=False, **tolerance)


binary("add", torch.add)
binary("sub", torch.sub)
binary("mul", torch.mul)
binary("div", torch.div, 0.5, 3)
signed = torch.tensor([-7, -6, -1, 0, 1, 6, 7], dtype=torch.int32)
for name, f in (("floorDivide", torch.floor_divide), ("remainder", torch.remainder), ("fmod", torch.fmod)):
    binary(name, f, 0.1, 7, 0.5, 3, specials=False, grad=False if name == "floorDivide" else None)
    for divisor in (3, -3):
        g.case(name, f, [signed, torch.full((7,), divisor, dtype=torch.int32)], note="signs of integers")
        g.case(name, f, [torch.tensor([-7.5, -6.0, -0.5, 0.0, 0.5, 6.0, 7.5]), torch.full((7,), float(divisor))], note="signs of floats", grad=False)
binary("pow", torch.pow, 0.3, 2, -2, 2, numbers=False)
g.case("pow", torch.pow, [ints(9, low=-4, high=5), ints(9, low=0, high=8)], note="int32")
g.case("pow", torch.pow, [ints(5, low=-4, high=5, dtype=torch.int64), ints(5, low=0, high=20, dtype=torch.int64)], note="int64")
for b in (2, 3, 0.5, -1, -0.5, 1.7, 0):
    g.case("pow", torch.pow, [floats(5, low=0.3, high=2), b], note=f"power {b}")
g.case("pow", torch.pow, [torch.tensor([-2.0, 0.0, 3.0]), 2], note="square of negative numbers")
g.case("pow", torch.pow, [ints(5), 2], note="square of integers")
binary("atan2", torch.atan2, numbers=False)
binary("hypot", torch.hypot, numbers=False)
binary("copysign", torch.copysign, numbers=False, specials=False)
g.case("copysign", torch.copysign, [torch.tensor([1.0, -2.0, 0.0, 3.0]), torch.tensor([-0.0, 0.0, -1.0, -inf])], note="zeros", grad=False)
binary("maximum", torch.maximum)
binary("minimum", torch.minimum)
g.case("maximum", torch.maximum, [torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 3.0, 2.0])], note="equal")
binary("fmax", torch.fmax, numbers=False)
binary("fmin", torch.fmin, numbers=False)
binary("xlogy", torch.xlogy, 0.3, 3, numbers=False, specials=False)
g.case("xlogy", torch.xlogy, [torch.tensor([0.0, 0.0, 1.0, 0.0]), torch.tensor([0.0, -1.0, 0.0, nan])], note="zeros", grad=False)
binary("logAddExp", torch.logaddexp, numbers=False)
g.case("lerp", torch.lerp, [floats(3, 5), floats(5), 0.3])
g.case("lerp", torch.lerp, [floats(3, 5), floats(3, 5), floats(5, low=0, high=1)], note="weights")

for name in ("eq", "ne", "lt", "le", "gt", "ge"):
    f = getattr(torch, name)
    g.case(name, f, [ints(4, 5, low=0, high=3), ints(5, low=0, high=3)], note="int32")
    g.case(name, f, [ints(4, low=0, high=3), torch.tensor([0.0, 0.5, 1.0, 2.0])], note="int32 with float32")
    g.case(name, f, [special.repeat_interleave(12), special.repeat(12)], note="special values")
    g.case(name, f, [ints(5, low=0, high=3), 1], note="number")
truth = [torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])]
for name, f in (("logicalAnd", torch.logical_and), ("logicalOr", torch.logical_or), ("logicalXor", torch.logical_xor)):
    g.case(name, f, truth)
    g.case(name, f, [special, torch.flip(special, [0])], note="floats")
for name, f in (("bitwiseAnd", torch.bitwise_and), ("bitwiseOr", torch.bitwise_or), ("bitwiseXor", torch.bitwise_xor)):
    g.case(name, f, truth, note="bool")
    g.case(name, f, [ints(6), ints(6)])
    g.case(name, f, [ints(6, low=0, high=255, dtype=torch.uint8), ints(6, low=0, high=255, dtype=torch.uint8)], note="uint8")
    g.case(name, f, [ints(6, dtype=torch.int64), ints(6)], note="int64 with int32")
for name, f in (("leftShift", torch.bitwise_left_shift), ("rightShift", torch.bitwise_right_shift)):
    g.case(name, f, [ints(6, low=-100, high=100), ints(6, low=0, high=8)])
    g.case(name, f, [ints(6, low=-100, high=100, dtype=torch.int64), ints(6, low=0, high=40, dtype=torch.int64)], note="int64")
close = [torch.tensor([1.0, 1.0, inf, nan, 0.0, 1e-9]), torch.tensor([1.00001, 1.001, inf, nan, 1e-9, 0.0])]
g.case("isClose", torch.isclose, close)
g.case("isClose", lambda a, b, o: torch.isclose(a, b, rtol=0.01, atol=0, equal_nan=True), [*close, {"rtol": 0.01, "atol": 0, "equalNaN": True}], note="options")
g.case("allClose", lambda a, b: torch.tensor(torch.allclose(a, b)), close)
g.case("allClose", lambda a, b: torch.tensor(torch.allclose(a, b)), [close[0][:1], close[1][:1]], note="close")
g.case("equal", lambda a, b: torch.tensor(torch.equal(a, b)), [ints(3, high=-8), ints(3, high=-8)])
g.case("equal", lambda a, b: torch.tensor(torch.equal(a, b)), [ints(3), ints(1, 3)], note="shapes differ")
g.case("where", torch.where, [torch.tensor([[True], [False]]), floats(2, 3), floats(3)])
g.case("where", torch.where, [torch.tensor([True, False, True]), ints(3), floats(3)], note="int32 with float32")
g.case("clamp", lambda x, o: x.clamp(-0.5, 1), [floats(3, 5), {"min": -0.5, "max": 1}])
g.case("clamp", lambda x, o: x.clamp(max=0.25), [floats(3, 5), {"max": 0.25}], note="max only")
g.case("clamp", lambda x, o: x.clamp(-0.5, 0.5), [torch.tensor([-0.5, 0.5, 0.0, 2.0]), {"min": -0.5, "max": 0.5}], note="at the bounds")
g.case("clamp", lambda x, o: x.clamp(-0.5, 0.5), [special, {"min": -0.5, "max": 0.5}], note="special values", grad=False)
g.case("clamp", lambda x, o: torch.clamp(x, o["min"], o["max"]), [floats(3, 4), {"min": floats(4), "max": floats(3, 1)}], note="tensors")
g.case("clamp", lambda x, o: x.clamp(-2, 3), [ints(6), {"min": -2, "max": 3}], note="int32")

# Reductions
i32 = lambda x: x.to(torch.int32)


def reduction(name, f, *, several=True, low=-2.0, high=2.0, ints_too=True, **tolerance):
    """A reduction of everything, over one axis, over several with keepDims, and of integers. `f(x, dim=, keepdim=)`."""
    g.case(name, lambda x: f(x), [floats(3, 5, low=low, high=high)], **tolerance)
    g.case(name, lambda x, axis: f(x, dim=axis), [floats(3, 5, low=low, high=high), 1], note="axis", **tolerance)
    g.case(name, lambda x, axis, o: f(x, dim=axis, keepdim=True), [floats(2, 3, 4, low=low, high=high), -2, {"keepDims": True}], note="keepDims", **tolerance)
    if several:
        g.case(name, lambda x, axis: f(x, dim=axis), [floats(2, 3, 4, low=low, high=high), [0, 2]], note="axes", **tolerance)
    g.case(name, lambda x: f(x), [floats(7, low=low, high=high, dtype=torch.float64)], note="float64")
    g.case(name, lambda x, axis: f(x, dim=axis), [floats(3, 5, low=low, high=high, dtype=bf16), 1], note="bfloat16", grad=False)
    g.case(name, lambda x: f(x), [torch.tensor([1.0, nan, 2.0])], note="NaN", grad=False)
    if ints_too:
        g.case(name, lambda x, axis: f(x, dim=axis), [ints(3, 5), 1], note="int32")


def many(f):
    """PyTorch's prod takes one axis."""
    return lambda x, dim=None, keepdim=False: f(x) if dim is None else f(x, dim, keepdim=keepdim)


own = lambda f: lambda x, **k: f(x, **k).to(x.dtype)
empty = torch.zeros(2, 0)

reduction("sum", own(torch.sum))
g.case("sum", lambda x: i32(x.sum()), [torch.tensor([True, True, False])], note="bool")
g.case("sum", lambda x: i32(x.sum()), [torch.tensor([200, 100], dtype=torch.uint8)], note="uint8")
g.case("sum", lambda x, axis: x.sum(axis), [empty, 1], note="empty")
reduction("prod", own(many(torch.prod)), several=False)
g.case("prod", lambda x, axis: x.prod(axis), [torch.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0], [2.0, 3.0, 4.0]]), 1], note="zeros")
g.case("prod", lambda x, axis: x.prod(axis), [empty, 1], note="empty")
reduction("mean", lambda x, **k: torch.mean(x if x.is_floating_point() else x.float(), **k))
g.case("mean", lambda x, axis: x.mean(axis), [empty, 1], note="empty", grad=False)
reduction("max", torch.amax)
reduction("min", torch.amin)
g.case("max", lambda x, axis: x.amax(axis), [torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), 1], note="equal maxima")
reduction("argmax", lambda x, **k: i32(torch.argmax(x, **k)), several=False)
reduction("argmin", lambda x, **k: i32(torch.argmin(x, **k)), several=False)
g.case("argmax", lambda x, axis: i32(x.argmax(axis)), [torch.tensor([[1.0, 3.0, 3.0], [2.0, nan, 9.0]]), 1], note="first of equals, NaN")
for name, f in (("any", torch.any), ("all", torch.all)):
    g.case(name, f, [torch.tensor([True, False])])
    g.case(name, lambda x, axis: f(x, axis), [ints(4, 3, low=0, high=2), 1], note="axis")
    g.case(name, lambda x, axis, o: f(x, axis, keepdim=True), [torch.tensor([[0.0, nan], [0.0, 0.0]]), 1, {"keepDims": True}], note="keepDims")
    g.case(name, lambda x, axis: f(x, axis), [empty, 1], note="empty")
g.case("countNonzero", lambda x, axis: i32(torch.count_nonzero(x, axis)), [ints(4, 3, low=0, high=2), 1])
g.case("countNonzero", lambda x: i32(torch.count_nonzero(x)), [special], note="floats")
holes = torch.tensor([[1.0, nan, 2.0], [nan, nan, nan], [3.0, 4.0, 5.0]])
g.case("nanSum", lambda x, axis: torch.nansum(x, axis), [holes, 1])
g.case("nanMean", lambda x, axis: torch.nanmean(x, axis), [holes[::2], 1])
g.case("nanMean", lambda x, axis: torch.nanmean(x, axis), [holes, 1], note="NaN only", grad=False)
g.case("logSumExp", lambda x, axis: torch.logsumexp(x, axis), [floats(3, 5, low=-50, high=50), 1])
g.case("logSumExp", lambda x, axis, o: torch.logsumexp(x, axis, keepdim=True), [floats(2, 3, 4), [0, 2], {"keepDims": True}], note="axes")
g.case("logSumExp", lambda x, axis: torch.logsumexp(x, axis), [torch.tensor([[-inf, -inf], [inf, 0.0], [nan, 0.0]]), 1], note="special values", grad=False)
for correction in (1, 0, 2):
    o = {"correction": correction, "keepDims": True}
    g.case("variance", lambda x, axis, o: torch.var(x, axis, correction=correction, keepdim=True), [floats(3, 5), 1, o], note=f"correction {correction}")
    g.case("std", lambda x, axis, o: torch.std(x, axis, correction=correction, keepdim=True), [floats(3, 5), 1, o], note=f"correction {correction}")
g.case("variance", torch.var, [floats(3, 5)])
g.case("variance", lambda x, axis: torch.var(x, axis), [floats(2, 3, 4) + 1000, [0, 2]], note="large mean", rtol=1e-4)
g.case("std", torch.std, [floats(3, 5)])
g.case("std", lambda x, axis: torch.std(x, axis), [torch.ones(2, 3), 1], note="constant")
g.case("varianceMean", lambda x, axis: torch.var_mean(x, axis), [floats(3, 5), 1])
for p in (2, 1, 3, 0.5, inf, -inf, 0):
    g.case("norm", lambda x, axis, o: torch.linalg.vector_norm(x, p, axis), [floats(3, 5, low=0.2, high=2), 1, {"p": p}], note=f"p = {p}", grad=p != 0)
g.case("norm", torch.linalg.vector_norm, [floats(3, 5)])
g.case("norm", lambda x, axis: torch.linalg.vector_norm(x, 2, axis), [torch.tensor([[0.0, 0.0], [3.0, 4.0]]), 1], note="zero")
for name, f in (("softmax", F.softmax), ("logSoftmax", F.log_softmax)):
    g.case(name, lambda x: f(x, -1), [floats(3, 5)])
    g.case(name, lambda x, axis: f(x, axis), [floats(2, 4, 3, low=-40, high=40), 1], note="axis")
    g.case(name, lambda x: f(x, -1), [torch.tensor([[-inf, 0.0, 1.0], [1000.0, 0.0, -1000.0]])], note="special values", grad=False)
    g.case(name, lambda x: f(x, -1), [floats(2, 5, dtype=bf16)], note="bfloat16", grad=False)
g.case("layerNorm", lambda x, n: F.layer_norm(x, [n]), [floats(3, 5), 5])
g.case("layerNorm", lambda x, n, o: F.layer_norm(x, n, o["weight"], o["bias"], 1e-3), [floats(2, 3, 4), [3, 4], {"weight": floats(3, 4), "bias": floats(3, 4), "eps": 1e-3}], note="affine", rtol=1e-5)
g.case("layerNorm", lambda x, n, o: F.layer_norm(x, [n], o["weight"]), [floats(2, 6), 6, {"weight": floats(6)}], note="weight", rtol=1e-5)
g.case("rmsNorm", lambda x, n: F.rms_norm(x, [n]), [floats(3, 5), 5])
g.case("rmsNorm", lambda x, n, o: F.rms_norm(x, n, o["weight"], 1e-3), [floats(2, 3, 4), [3, 4], {"weight": floats(3, 4), "eps": 1e-3}], note="affine")

# Running sums
zeros = torch.tensor([[1.0, 2.0, 0.0, 3.0, 4.0], [2.0, 0.0, 3.0, 0.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
reverse = {"reverse": True}
for name, f in (("cumSum", torch.cumsum), ("cumProd", torch.cumprod)):
    g.case(name, f, [floats(3, 5), 1])
    g.case(name, f, [floats(4, 2, 3), 0], note="first axis")
    g.case(name, lambda x, axis, o: f(x.flip(axis), axis).flip(axis), [floats(3, 5), 1, reverse], note="reverse")
    g.case(name, lambda x, axis: i32(f(x, axis)), [ints(3, 4), 1], note="int32")
    g.case(name, lambda x, axis: i32(f(x, axis)), [torch.tensor([True, True, False]), 0], note="bool")
g.case("cumProd", torch.cumprod, [zeros, 1], note="zeros")
for name, f in (("cumMax", torch.cummax), ("cumMin", torch.cummin)):
    g.case(name, lambda x, axis: f(x, axis).values, [floats(3, 7), 1])
    g.case(name, lambda x, axis: f(x, axis).values, [torch.tensor([1.0, 1.0, 3.0, 3.0, 2.0, 0.0]), 0], note="equal")
    g.case(name, lambda x, axis: f(x, axis).values, [torch.tensor([1.0, nan, 3.0]), 0], note="NaN", grad=False)
    g.case(name, lambda x, axis: f(x, axis).values, [ints(3, 4), 1], note="int32")
g.case("logCumSumExp", torch.logcumsumexp, [floats(3, 5, low=-20, high=20), 1], rtol=3e-5)
g.case("logCumSumExp", torch.logcumsumexp, [floats(5, 2), 0], note="first axis")

g.write()
