"""Golden vectors of the ops that move, index, join and sort elements, and of the creation functions: writes data/movement.json."""

import torch
import torch.nn.functional as F

from golden import Golden, floats, ints

g = Golden("movement")
nan = float("nan")


def index(*values, shape=None):
    x = torch.tensor(values, dtype=torch.int32)
    return x if shape is None else x.reshape(shape)


def mask(*values, shape=None):
    x = torch.tensor(values, dtype=torch.bool)
    return x if shape is None else x.reshape(shape)


def i32(x):
    return x.to(torch.int32)


def ranked(pair):
    return {"values": pair.values, "indices": i32(pair.indices)}


# Views

g.case("clone", lambda x: x.clone(), [floats(2, 3)])
g.case("cast", lambda x, _: x.to(torch.int32), [floats(2, 3), "int32"])
g.case("cast", lambda x, _: x.to(torch.bfloat16), [floats(7), "bfloat16"], grad=False)
g.case("cast", lambda x, _: x.to(torch.uint8), [ints(9, low=-300, high=300), "uint8"])
g.case("reshape", torch.reshape, [floats(2, 6), [3, -1]])
g.case("view", lambda x, s: x.view(s), [floats(2, 6), [3, 4]])
g.case("flatten", torch.flatten, [floats(2, 3, 4), 1])
g.case("unflatten", lambda x, a, s: x.unflatten(a, s), [floats(2, 12), 1, [3, -1]])
g.case("permute", torch.permute, [floats(2, 3, 4), [2, 0, 1]])
g.case("transpose", torch.transpose, [floats(2, 3, 4), 0, -1])
g.case("moveAxis", torch.movedim, [floats(2, 3, 4), [0, 1], [-1, 0]])
g.case("squeeze", torch.squeeze, [floats(2, 1, 3, 1)])
g.case("squeeze", torch.squeeze, [floats(2, 1, 3, 1), -1], note="one axis")
g.case("unsqueeze", torch.unsqueeze, [floats(2, 3), -1])
g.case("expand", lambda x, s: x.expand(s), [floats(3, 1), [2, -1, 4]])
g.case("broadcastTo", torch.broadcast_to, [floats(3, 1), [2, 3, 4]])
g.case("expandAs", lambda x, y: x.expand_as(y), [floats(3, 1), floats(2, 3, 4)])
g.case("slice", lambda x, *_: x[1:-1, ::2], [floats(5, 7), "1:-1", "::2"])
g.case("slice", lambda x, *_: x.flip(1)[:, 1::2], [floats(4, 6), None, [-2, None, -2]], note="backwards")
g.case("narrow", torch.narrow, [floats(3, 5), 1, 1, 3])
g.case("select", torch.select, [floats(3, 5), 1, -1])
g.case("flip", torch.flip, [floats(3, 5, 2), [0, 2]])
g.case("rot90", torch.rot90, [floats(2, 3, 4), 3, [1, 2]])
g.case("rot90", torch.rot90, [floats(2, 3), -1], note="default axes")
g.case("diagonal", lambda x, _: torch.diagonal(x, 1, 0, 2), [floats(3, 2, 4), {"offset": 1, "axis1": 0, "axis2": 2}])
g.case("windows", lambda x, k, _: x.unfold(1, 3, 2).permute(0, 1, 3, 2), [floats(2, 8, 3), 3, {"stride": 2}])
g.case(
    "windows",
    lambda x, k, _: x.unfold(0, 2, 1).unfold(1, 3, 2).permute(0, 1, 2, 3),
    [floats(4, 7), [2, 3], {"axis": 0, "stride": [1, 2]}],
    note="two axes",
)

# Joins

g.case("concat", lambda xs, a: torch.cat(xs, a), [[floats(2, 3), floats(2, 0), floats(2, 4)], -1])
g.case("concat", lambda xs: torch.cat(xs), [[floats(2, 3), ints(1, 3)]], note="dtypes", grad=False)
g.case("stack", lambda xs, a: torch.stack(xs, a), [[floats(2, 3), floats(2, 3)], 1])
g.case("split", lambda x, n, a: list(torch.split(x, n, a)), [floats(2, 5), 2, 1])
g.case("split", lambda x, n: list(torch.split(x, n)), [floats(5, 2), [1, 4]], note="sizes")
g.case("chunk", lambda x, n: list(torch.chunk(x, n)), [floats(5, 2), 3])
g.case("unbind", lambda x, a: list(torch.unbind(x, a)), [floats(2, 3), -1])
g.case("tile", torch.tile, [floats(2, 3), [2, 1, 2]])
g.case("repeat", lambda x, r: x.repeat(r), [floats(2, 3), [2, 2]])
g.case("repeatInterleave", torch.repeat_interleave, [floats(2, 3), 2, 1])
g.case("repeatInterleave", torch.repeat_interleave, [floats(2, 3), 3], note="flattened")
g.case("repeatInterleave", lambda x, r, a: torch.repeat_interleave(x, r.long(), a), [floats(2, 3), index(2, 0, 1), 1], note="each")
g.case("roll", lambda x, *_: torch.roll(x, (5, -2), (0, 1)), [floats(3, 4), [5, -2], [0, 1]])
g.case("roll", torch.roll, [floats(3, 4), 1], note="flattened")
g.case("meshgrid", lambda a, b: list(torch.meshgrid(a, b, indexing="ij")), [floats(2), floats(3)])


def padded(mode, *widths, value=0.0):
    if mode == "constant":
        return lambda x, *_: F.pad(x, widths, value=value)
    return lambda x, *_: F.pad(x[None], widths, mode=mode)[0]


g.case("pad", padded("constant", 0, 2, 1, 0, value=1.5), [floats(2, 3), [[1, 0], [0, 2]], {"value": 1.5}])
g.case("pad", padded("constant", 1, -3, -1, 2), [floats(4, 5), [[-1, 2], [1, -3]]], note="crop")
g.case("pad", padded("reflect", 2, 1), [floats(2, 4), [[0, 0], [2, 1]], {"mode": "reflect"}])
g.case("pad", padded("replicate", 2, 5), [floats(2, 4), [[0, 0], [2, 5]], {"mode": "replicate"}])
g.case("pad", padded("circular", 2, 4), [floats(2, 4), [[0, 0], [2, 4]], {"mode": "circular"}])
g.case("pad", lambda x, *_: F.pad(x[None], (2, 1, 1, 2), mode="reflect")[0], [floats(2, 4, 5), [[0, 0], [1, 2], [2, 1]], {"mode": "reflect"}], note="reflect on two axes")

# Indexing

g.case("at", lambda x, *_: x[1, ..., -1], [floats(3, 4, 2), 1, "...", -1])
g.case("at", lambda x, *_: x[:, None, 1:], [floats(3, 4), ":", None, {"start": 1}], note="new axis")
g.case("at", lambda x, *_: x[[0, 2, 2, -1]], [floats(3, 4), [0, 2, 2, -1]], note="array")
g.case("at", lambda x, *_: x[[[0], [2]], [1, 3]], [floats(3, 4), [[0], [2]], [1, 3]], note="arrays broadcast")
g.case("at", lambda x, *_: x[[0, 2], 1:, [1, 3]], [floats(3, 4, 5), [0, 2], "1:", [1, 3]], note="arrays apart")
g.case("at", lambda x, _, i, __: x[:, i.long(), ::2], [floats(3, 4, 5), ":", index(0, 3, -1, 1, shape=[2, 2]), "::2"], note="tensor")
g.case("at", lambda x, m: x[m], [floats(2, 3), mask(1, 0, 1, 0, 0, 1, shape=[2, 3])], note="mask")
g.case("at", lambda x, _, m: x[0, m], [floats(2, 3, 2), 0, mask(1, 0, 1)], note="mask of an axis")
g.case("indexPut", lambda x, _, v: torch.index_put(x, (torch.tensor([0, 2]), torch.tensor([1, 3])), v), [floats(3, 4), [[0, 2], [1, 3]], floats(2)])
g.case("indexPut", lambda x, _, v, __: torch.index_put(x, (torch.tensor([0, 2, 0]),), v, accumulate=True), [floats(3, 4), [[0, 2, 0]], floats(3, 4), {"accumulate": True}], note="accumulate")


def put_slice(x, _, v):
    y = x.clone()
    y[1:, ::2] = v
    return y


g.case("indexPut", put_slice, [floats(3, 4), ["1:", "::2"], floats(2)], note="ranges")
g.case("gather", lambda x, a, i: torch.gather(x, a, i.long()), [floats(3, 4), 0, index(0, 1, 2, 0, 2, 2, 1, 1, shape=[2, 4])])
g.case("takeAlongAxis", lambda x, i, a: torch.take_along_dim(x, i.long(), a), [floats(2, 3), index(2, 0, shape=[2, 1]), 1])
g.case("take", lambda x, i: torch.take(x, i.long()), [floats(2, 3), index(5, 0, 0, -1, shape=[2, 2])])
g.case("indexSelect", lambda x, a, i: torch.index_select(x, a, i), [floats(2, 4), 1, index(3, 0, 0)])
g.case("embedding", lambda w, i: F.embedding(i, w), [floats(5, 3), index(0, 4, 1, 1, shape=[2, 2])])
g.case("embedding", lambda w, i, _: F.embedding(i, w, padding_idx=0), [floats(5, 3), index(0, 4, 0, 1), {"paddingIdx": 0}], note="padding")
at = index(0, 1, 2, 0, 2, 0, 2, 1, shape=[2, 4])
g.case("scatter", lambda x, a, i, s: torch.scatter(x, a, i.long(), s), [floats(3, 4), 0, index(0, 1, 2, 0, 2, 0, 1, 1, shape=[2, 4]), floats(2, 4)])
for mode, name in [("add", "sum"), ("mul", "prod"), ("max", "amax"), ("min", "amin")]:
    g.case("scatter", lambda x, a, i, s, _: torch.scatter_reduce(x, a, i.long(), s, name), [floats(3, 4), 0, at, floats(2, 4), {"mode": mode}], note=mode)
zeros = torch.tensor([[0.0, 2.0, 0.0], [1.5, 0.0, 3.0]])
g.case(
    "scatterReduce",
    lambda x, a, i, s, _: torch.scatter_reduce(x, a, i.long(), s, "prod"),
    [zeros, 1, index(0, 1, 1, 0, 1, 2, shape=[2, 3]), torch.tensor([[2.0, 0.0, 3.0], [4.0, 0.5, 2.0]]), "mul"],
    note="zeros",
)
g.case("indexAdd", lambda x, a, i, s: torch.index_add(x, a, i, s), [floats(3, 2), 0, index(0, 2, 2), floats(3, 2)])
g.case("bincount", lambda x, _: i32(torch.bincount(x, minlength=6)), [index(0, 3, 1, 1, 3), {"minLength": 6}])
g.case("nonzero", lambda x: i32(torch.nonzero(x)), [torch.tensor([[0.0, 1.0, nan], [-2.0, 0.0, 0.0]])])
g.case("maskedFill", torch.masked_fill, [floats(2, 3), mask(1, 0, 1), -1.5])
g.case("maskedSelect", torch.masked_select, [floats(2, 3), mask(1, 0, 1)])

# Matrices

g.case("trace", torch.trace, [floats(3, 4)])
g.case("diagEmbed", lambda x, _: torch.diag_embed(x, -1), [floats(2, 3), {"offset": -1}])
g.case("diag", lambda x, _: torch.diag(x, 1), [floats(3), {"offset": 1}])
g.case("diag", torch.diag, [floats(3, 4)], note="of a matrix")
g.case("tril", torch.tril, [floats(2, 4, 3), -1])
g.case("triu", torch.triu, [floats(3, 4), 1])

# Order

tied = torch.tensor([[2.0, nan, -1.0, 2.0, float("inf")], [0.0, -0.0, 3.0, -5.0, 0.0]])
g.case("sort", lambda x: ranked(torch.sort(x, stable=True)), [floats(3, 5)])
g.case("sort", lambda x, _: ranked(torch.sort(x, dim=0, descending=True, stable=True)), [floats(4, 3), {"axis": 0, "descending": True}], note="descending")
g.case("sort", lambda x: ranked(torch.sort(x, stable=True)), [tied], note="ties and NaN", grad=False)
g.case("argSort", lambda x: i32(torch.argsort(x, stable=True)), [ints(4, 6)])
g.case("topk", lambda x, k: ranked(torch.topk(x, k)), [floats(3, 5), 2])
g.case("topk", lambda x, k, _: ranked(torch.topk(x, k, 0, largest=False)), [floats(4, 3), 2, {"axis": 0, "largest": False}], note="smallest")
g.case("kthvalue", lambda x, k: ranked(torch.kthvalue(x, k)), [floats(3, 5), 2])
g.case("median", lambda x, a: torch.median(x, a).values, [floats(3, 6), 1])
g.case("median", torch.median, [floats(3, 5)], note="all")
g.case("median", lambda x, a: torch.median(x, a).values, [tied, 1], note="NaN", grad=False)
g.case("quantile", lambda x, q, _: torch.quantile(x, torch.tensor([0.25, 0.8, 1.0]), 1), [floats(3, 6), [0.25, 0.8, 1], {"axis": 1}])
for interpolation in ["lower", "higher", "nearest", "midpoint"]:
    g.case("quantile", lambda x, q, o: torch.quantile(x, q, 0, interpolation=o["interpolation"]), [floats(6, 2), 0.3, {"axis": 0, "interpolation": interpolation}], note=interpolation)
steps = torch.tensor([-1.0, 0.0, 0.0, 1.0, 2.0])
sought = torch.tensor([[0.0, -2.0, 3.0], [0.5, 2.0, nan]])
g.case("searchSorted", lambda s, v: i32(torch.searchsorted(s, v)), [steps, sought], grad=False)
g.case("searchSorted", lambda s, v, _: i32(torch.searchsorted(s, v, right=True)), [steps, sought, {"right": True}], note="right", grad=False)


def unique(x):
    values, inverse, counts = torch.unique(x, return_inverse=True, return_counts=True)
    return {"values": values, "inverse": i32(inverse), "counts": i32(counts)}


g.case("unique", unique, [ints(3, 4, low=-3, high=4)])

# Creation

g.case("fullLike", torch.full_like, [floats(2, 3), 1.5], grad=False)
g.case("zerosLike", torch.zeros_like, [ints(2, 3)])
g.case("onesLike", torch.ones_like, [floats(2, 3)], grad=False)
g.case("arange", lambda *a: torch.arange(*a, dtype=torch.int32), [2, 9, 3])
g.case("arange", lambda *a: torch.arange(*a, dtype=torch.float32), [1, -0.6, -0.25], note="floats")
g.case("linspace", torch.linspace, [-2, 3, 8])
g.case("logspace", lambda a, b, n, _: torch.logspace(a, b, n, base=2), [-1, 3, 5, {"base": 2}])
g.case("eye", torch.eye, [2, 4])
g.case("oneHot", lambda x, n: F.one_hot(x.long(), n).float(), [index(0, 2, 1, 1, shape=[2, 2]), 3])

g.write()
