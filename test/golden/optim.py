"""Golden vectors of optimisers and clipping; writes data/optim.json. See golden.py.

An optimiser's case gives parameters, five gradients of each that take turns, and options; its results are the parameters after
some of the steps.
"""

import re

import torch

from golden import Golden, floats

g = Golden("optim")
SHAPES = [(3, 2), (4,), ()]
STEPS = 20
SHOWN = [1, 2, 8, 20]


def snake(name):
    return re.sub(r"([A-Z]+)", lambda m: "_" + m[0].lower(), name)


def options_of(given):
    return {snake(k): tuple(v) if isinstance(v, list) else v for k, v in given.items() if k != "params"}


def optimiser(name, given=None, groups=None, shapes=SHAPES, note=None):
    """`groups`: options of one group a parameter."""
    given = given or {}

    def run(params, gradients, options, groups):
        params = [p.clone() for p in params]
        specs = params if groups is None else [{"params": [p], **options_of(o)} for p, o in zip(params, groups)]
        opt = getattr(torch.optim, name)(specs, **options_of(options))
        shown = []
        for step in range(1, STEPS + 1):
            for p, own in zip(params, gradients):
                p.grad = own[step % len(own)].clone()
            opt.step()
            if step in SHOWN:
                shown.append([p.clone() for p in params])
        return shown

    for dtype in [torch.float32, torch.float64]:
        params = [floats(*s, dtype=dtype, seed=i) for i, s in enumerate(shapes)]
        gradients = [[floats(*s, dtype=dtype, seed=100 + 10 * i + j) for j in range(5)] for i, s in enumerate(shapes)]
        tolerance = {"rtol": 1e-5, "atol": 3e-6} if dtype == torch.float32 else {"rtol": 1e-11, "atol": 1e-12}
        if name == "NAdam" and dtype == torch.float64:
            # PyTorch keeps the product of its momenta in float32, whatever the parameter is.
            tolerance = {"rtol": 1e-7, "atol": 1e-7}
        shown = note or ", ".join(given) or "defaults"
        g.case(name, run, [params, gradients, given, groups], grad=False, note=f"{shown}, {str(dtype)[6:]}", **tolerance)


optimiser("SGD", {"lr": 0.1})
optimiser("SGD", {"lr": 0.05, "momentum": 0.9})
optimiser("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.5, "weightDecay": 0.1})
optimiser("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weightDecay": 0.02})
optimiser("SGD", {"lr": 0.05, "momentum": 0.9, "maximize": True})
optimiser("SGD", {"lr": 0.1, "momentum": 0.5}, groups=[{"lr": 0.01}, {}, {"momentum": 0, "weightDecay": 0.1}], note="groups")

for name in ["Adam", "AdamW"]:
    optimiser(name)
    optimiser(name, {"lr": 0.05, "betas": [0.7, 0.9], "eps": 0.001, "weightDecay": 0.1})
    optimiser(name, {"lr": 0.05, "amsgrad": True, "betas": [0.8, 0.6]})
    optimiser(name, {"lr": 0.05, "weightDecay": 0.1, "amsgrad": True, "maximize": True})
optimiser("AdamW", {"lr": 0.02}, groups=[{"weightDecay": 0}, {"betas": [0.5, 0.5]}, {"lr": 0.1}], note="groups")

optimiser("NAdam", {"lr": 0.05})
optimiser("NAdam", {"lr": 0.05, "betas": [0.8, 0.9], "weightDecay": 0.1, "momentumDecay": 0.1})
optimiser("NAdam", {"lr": 0.05, "weightDecay": 0.1, "decoupledWeightDecay": True, "maximize": True})

optimiser("RAdam", {"lr": 0.05})
optimiser("RAdam", {"lr": 0.05, "betas": [0.8, 0.9], "weightDecay": 0.1, "eps": 0.001})
optimiser("RAdam", {"lr": 0.05, "weightDecay": 0.1, "decoupledWeightDecay": True, "maximize": True})

optimiser("Adamax", {"lr": 0.05})
optimiser("Adamax", {"lr": 0.05, "betas": [0.8, 0.7], "weightDecay": 0.1, "eps": 0.01, "maximize": True})

optimiser("RMSprop")
optimiser("RMSprop", {"lr": 0.02, "alpha": 0.8, "weightDecay": 0.1, "momentum": 0.7})
optimiser("RMSprop", {"lr": 0.02, "alpha": 0.9, "centered": True, "eps": 0.01})
optimiser("RMSprop", {"lr": 0.02, "momentum": 0.5, "centered": True, "eps": 0.01, "maximize": True})

optimiser("Adagrad")
optimiser("Adagrad", {"lr": 0.1, "lrDecay": 0.1, "weightDecay": 0.05, "initialAccumulatorValue": 0.5, "eps": 0.01})
optimiser("Adagrad", {"lr": 0.1, "maximize": True})

optimiser("Adadelta")
optimiser("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 0.001, "weightDecay": 0.1, "maximize": True})

wide = [(3, 4), (2, 3, 2), (4,), ()]
optimiser("Adafactor", shapes=wide)
optimiser("Adafactor", {"lr": 0.5, "beta2Decay": -0.5, "d": 1.5, "weightDecay": 0.1}, shapes=wide)
optimiser("Adafactor", {"lr": 0.1, "eps": [0.01, 0.1], "maximize": True}, shapes=wide)


def clip_norm(gradients, limit, options):
    params = [torch.nn.Parameter(torch.zeros_like(x)) for x in gradients]
    for p, x in zip(params, gradients):
        p.grad = x.clone()
    total = torch.nn.utils.clip_grad_norm_(params, limit, options.get("normType", 2.0))
    return [total, [p.grad for p in params]]


def clip_value(gradients, limit):
    params = [torch.nn.Parameter(torch.zeros_like(x)) for x in gradients]
    for p, x in zip(params, gradients):
        p.grad = x.clone()
    torch.nn.utils.clip_grad_value_(params, limit)
    return [p.grad for p in params]


several = [floats(*s) for s in SHAPES]
for options in [{}, {"normType": 1}, {"normType": 3}, {"normType": float("inf")}]:
    g.case("clipGradNorm", clip_norm, [several, 1.5, options], grad=False, note="smaller")
g.case("clipGradNorm", clip_norm, [several, 1000, {}], grad=False, note="small enough")
g.case("clipGradNorm", clip_norm, [[floats(3, dtype=torch.float64)], 0.25, {}], grad=False, note="float64")
g.case("clipGradNorm", clip_norm, [[torch.zeros(3)], 1.0, {}], grad=False, note="zeros")
g.case("clipGradNorm", clip_norm, [[torch.tensor([1.0, float("inf")])], 1.0, {}], grad=False, note="infinite")
g.case("clipGradValue", clip_value, [several, 0.5], grad=False)

g.write()
