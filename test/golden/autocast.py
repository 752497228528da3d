"""
Mixed precision: which dtype each op gives under autocast, its values, and gradients by float32 operands.

Which ops run in low precision, in float32 or in the widest dtype is read from the lists for accelerators in the header that comes
with PyTorch (ATen/autocast_mode.h), as autocast on its CPU leaves most of the float32 list alone. What it does not leave alone runs
under torch.autocast("cpu") itself.
"""

import re
from functools import reduce
from pathlib import Path

import torch
import torch.nn.functional as F
from golden import Golden, floats, ints, mapped, tensors

g = Golden("autocast")
LOW = torch.bfloat16


def listed():
    """Policies by op: 'lower', 'float32' or 'widest'."""
    text = (Path(torch.__file__).parent / "include/ATen/autocast_mode.h").read_text()
    found = {"norm": "float32"}
    for macro, policy in [("LOWER_PRECISION_FP", "lower"), ("FP32", "float32"), ("FP32_SET_OPT_DTYPE", "float32"), ("PROMOTE", "widest")]:
        body = re.search(rf"#define AT_FORALL_{macro}\(_\)((?:.*\\\n)*.*)", text).group(1)
        for op in re.findall(r"_\((\w+)", body):
            found[op] = policy
    return found


POLICIES = listed()
# What autocast on the CPU does to these is the same.
ON_CPU = {"matmul", "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "prelu"}
ON_CPU |= {"scaled_dot_product_attention", "prod", "quantile", "binary_cross_entropy", "mse_loss", "huber_loss", "l1_loss", "nll_loss"}
ON_CPU |= {"kl_div", "soft_margin_loss", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "smooth_l1_loss", "ctc_loss", "cat", "stack"}
LOOSE = dict(rtol=2e-2, atol=2e-2)


def case(name, op, f, args, *, note=None, policy=None, **tolerance):
    policy = policy or POLICIES.get(op)

    def run(*given):
        if op in ON_CPU:
            with torch.autocast("cpu", dtype=LOW):
                return f(*given)
        wanted = {"lower": LOW, "float32": torch.float32}.get(policy)
        if policy == "widest":
            wanted = reduce(torch.promote_types, [x.dtype for x in tensors(given) if x.is_floating_point()])
        cast = lambda x: x.to(wanted) if wanted and x.is_floating_point() else x
        return f(*mapped(given, cast))

    full = all(x.dtype == torch.float32 for x in tensors(args) if x.is_floating_point())
    g.case(name, run, args, note=note, grad=full, **{**(LOOSE if full else {}), **tolerance})


def low(*shape, **options):
    return floats(*shape, **options).to(LOW)


def both(name, op, f, shape=(3, 4), **options):
    """An op of one tensor, which comes in float32 and in bfloat16."""
    case(name, op, f, [floats(*shape, **options)])
    case(name, op, f, [low(*shape, **options)], note="bfloat16")


# In low precision

case("matmul", "matmul", torch.matmul, [floats(3, 5), floats(5, 4)])
case("matmul", "matmul", torch.matmul, [low(2, 3, 5), floats(5, 4)], note="one in bfloat16")
case("matmul", "matmul", torch.matmul, [floats(2, 3, 5), floats(2, 5, 4)], note="batch")
case("linear", "linear", lambda x, w, b: F.linear(x, w.t(), b), [floats(3, 5), floats(5, 4), floats(4)])
case("linear", "linear", lambda x, w, b: F.linear(x, w.t(), b), [low(2, 3, 5), floats(5, 4), floats(4)], note="bfloat16")
case("einsum", "einsum", lambda e, a, b: torch.einsum(e, a, b), ["bij,bjk->bik", floats(2, 3, 4), floats(2, 4, 2)])
case(
    "conv2d",
    "conv2d",
    lambda x, w, o: F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), o["bias"]).permute(0, 2, 3, 1),
    [floats(1, 5, 4, 2), floats(3, 3, 2, 3), {"bias": floats(3)}],
)
case(
    "convTranspose2d",
    "conv_transpose2d",
    lambda x, w: F.conv_transpose2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1)).permute(0, 2, 3, 1),
    [floats(1, 3, 3, 2), floats(2, 2, 3, 2)],
)
case("conv1d", "conv1d", lambda x, w: F.conv1d(x.permute(0, 2, 1), w.permute(2, 1, 0)).permute(0, 2, 1), [floats(2, 5, 2), floats(3, 2, 3)])
case("prelu", "prelu", F.prelu, [floats(3, 4), floats(1)])
case("scaledDotProductAttention", "scaled_dot_product_attention", F.scaled_dot_product_attention, [floats(2, 3, 4), floats(2, 5, 4), floats(2, 5, 2)])

# In float32

for name, op in [("exp", "exp"), ("expm1", "expm1"), ("tan", "tan"), ("sinh", "sinh"), ("cosh", "cosh"), ("softplus", "softplus")]:
    both(name, op, getattr(torch, op, None) or getattr(F, op), low=-1, high=1)
for name in ["log", "log2", "log10", "log1p", "reciprocal", "rsqrt"]:
    both(name, name, getattr(torch, name), low=0.25, high=3)
for name in ["asin", "acos", "erfinv"]:
    both(name, name, getattr(torch, name), low=-0.9, high=0.9)
both("sum", "sum", torch.sum)
both("prod", "prod", torch.prod)
both("logSumExp", "logsumexp", lambda x: torch.logsumexp(x, (0, 1)))
both("norm", "norm", torch.linalg.vector_norm)
both("softmax", "softmax", lambda x: torch.softmax(x, -1))
both("logSoftmax", "log_softmax", lambda x: torch.log_softmax(x, -1))
case("pow", "pow", torch.pow, [low(3, 4), 3])
case("pow", "pow", torch.pow, [low(3, 4, low=0.25), low(4)], note="tensors")
case("cumSum", "cumsum", torch.cumsum, [low(3, 4), 1])
case("cumProd", "cumprod", torch.cumprod, [low(3, 4), 1])
case("quantile", "quantile", torch.quantile, [floats(3, 4), 0.25])
case("layerNorm", "layer_norm", lambda x, n, o: F.layer_norm(x, (n,), o["weight"], o["bias"]), [low(3, 4), 4, {"weight": floats(4), "bias": floats(4)}])
case("rmsNorm", "rms_norm", lambda x, n, o: F.rms_norm(x, (n,), o["weight"], o["eps"]), [low(3, 4), 4, {"weight": floats(4), "eps": 1e-6}])
case("groupNorm", "group_norm", lambda x, n: F.group_norm(x.movedim(-1, 1), n).movedim(1, -1), [low(2, 3, 4), 2])
case("cosineSimilarity", "cosine_similarity", lambda a, b: F.cosine_similarity(a, b, -1), [low(3, 4), low(3, 4)])
case("interpolate", "upsample_nearest1d", lambda x, o: F.interpolate(x.movedim(-1, 1), o["size"]).movedim(1, -1), [low(2, 3, 2), {"size": 5}])

losses = [("mseLoss", "mse_loss"), ("l1Loss", "l1_loss"), ("smoothL1Loss", "smooth_l1_loss"), ("huberLoss", "huber_loss")]
for name, op in [*losses, ("poissonNllLoss", "poisson_nll_loss")]:
    case(name, op, getattr(F, op), [low(3, 4), floats(3, 4)])
case("klDivLoss", "kl_div", lambda x, y: F.kl_div(x, y, reduction="none").mean(), [low(3, 4), floats(3, 4, low=0.1, high=0.9)])
case("softMarginLoss", "soft_margin_loss", F.soft_margin_loss, [low(4), torch.tensor([1.0, -1, 1, -1])])
case("hingeEmbeddingLoss", "hinge_embedding_loss", F.hinge_embedding_loss, [low(4), torch.tensor([1.0, -1, 1, -1])])
case("bceWithLogitsLoss", "binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, [low(3, 4), floats(3, 4, low=0, high=1)])
case("bceLoss", "binary_cross_entropy", F.binary_cross_entropy, [low(3, 4, low=0.1, high=0.9), floats(3, 4, low=0, high=1)])
case("crossEntropy", "softmax", F.cross_entropy, [low(3, 4), ints(3, low=0, high=4, dtype=torch.int64)])
case("nllLoss", "nll_loss", F.nll_loss, [low(3, 4), ints(3, low=0, high=4, dtype=torch.int64)])
case("marginRankingLoss", "margin_ranking_loss", F.margin_ranking_loss, [low(4), low(4), torch.tensor([1.0, -1, 1, -1])])
case("cosineEmbeddingLoss", "cosine_embedding_loss", F.cosine_embedding_loss, [low(2, 4), low(2, 4), torch.tensor([1.0, -1])])
case("tripletMarginLoss", "triplet_margin_loss", F.triplet_margin_loss, [low(2, 4), low(2, 4), low(2, 4)])

# In the widest dtype

for name, f in [("add", torch.add), ("mul", torch.mul), ("maximum", torch.maximum)]:
    case(name, name, f, [low(3, 4), floats(4)])
    case(name, name, f, [low(3, 4), low(4)], note="bfloat16")
case("atan2", "atan2", torch.atan2, [low(3), floats(3)])
case("dot", "dot", torch.dot, [floats(5), floats(5)])
case("dot", "dot", torch.dot, [low(5), floats(5)], note="one in bfloat16")
case("concat", "cat", lambda xs: torch.cat(xs), [[low(2, 3), floats(1, 3)]])
case("stack", "stack", lambda xs: torch.stack(xs), [[low(2), floats(2)]])
case("where", "where", torch.where, [floats(3, 4) > 0, low(3, 4), floats(3, 4)])
case("scatterReduce", "scatter_add", lambda x, a, i, s, m: x.scatter_add(a, i, s), [low(3), 0, torch.tensor([0, 2, 0]), floats(3), "add"])

# In the dtypes that come

case(
    "batchNorm",
    "batch_norm",
    lambda x, o: [F.batch_norm(x, None, None, o["weight"], o["bias"], True), x.float().mean(0), x.float().var(0, correction=0)],
    [low(5, 3), {"weight": floats(3), "bias": floats(3)}],
    note="float32 parameters",
)
case(
    "batchNormWith",
    "batch_norm",
    lambda x, m, v, o: F.batch_norm(x, m, v, o["weight"], o["bias"]),
    [low(5, 3), floats(3), floats(3, low=0.5), {"weight": floats(3), "bias": floats(3)}],
    note="float32 parameters",
)

for name, f in [("gelu", F.gelu), ("relu", F.relu), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid), ("sqrt", torch.sqrt), ("mean", torch.mean)]:
    both(name, name, f, low=0.25)
both("abs", "abs", torch.abs)
both("max", "max", torch.max)
both("silu", "silu", F.silu)
case("variance", "var", torch.var, [low(3, 4)])

g.write()
