"""Golden vectors of learning rate schedulers; writes data/schedulers.json. See golden.py.

A case gives the learning rates of two groups, options and a number of steps; its results are the rates (one row a step) and,
where the schedule has them, the momenta. Functions are named: see FUNCTIONS, which schedulers.test.ts has too.
"""

import math
import re
import warnings

import torch
from torch.optim import lr_scheduler

from golden import Golden

g = Golden("schedulers")
warnings.simplefilter("ignore")

FUNCTIONS = {
    "power": lambda epoch: 0.95**epoch,
    "hyperbola": lambda epoch: 1 / (1 + epoch),
    "constant": lambda epoch: 0.9,
    "wave": lambda x: 0.5 * (1 + math.sin(x * math.pi / 2.0)),
}
SPECIAL = {"tMax": "T_max", "t0": "T_0", "tMult": "T_mult", "lrLambda": "lr_lambda"}


def value_of(v):
    if isinstance(v, str):
        return FUNCTIONS.get(v, "exp_range" if v == "expRange" else v)
    return [value_of(x) for x in v] if isinstance(v, list) else v


def make(optimiser, name, given):
    if name == "SequentialLR":
        return lr_scheduler.SequentialLR(optimiser, [make(optimiser, *s) for s in given["schedulers"]], given["milestones"])
    if name == "ChainedScheduler":
        return lr_scheduler.ChainedScheduler([make(optimiser, *s) for s in given["schedulers"]])
    options = {SPECIAL.get(k) or re.sub(r"[A-Z]+", lambda m: "_" + m[0].lower(), k): value_of(v) for k, v in given.items()}
    return getattr(lr_scheduler, name)(optimiser, **options)


def case(name, options=None, steps=60, optimiser="SGD", metrics=None, positions=None):
    """metrics: given to step() one after the other; positions: likewise, where to go."""

    def run(name, options, lrs, steps, optimiser, given):
        params = [torch.nn.Parameter(torch.zeros(1)) for _ in lrs]
        opt = getattr(torch.optim, optimiser)([{"params": [p], "lr": lr} for p, lr in zip(params, lrs)])
        scheduler = make(opt, name, options)
        rates, momenta = [], []
        for step in range(steps + 1):
            rates.append([group["lr"] for group in opt.param_groups])
            momenta.append([group["betas"][0] if "betas" in group else group["momentum"] for group in opt.param_groups])
            opt.step()
            if step < steps:
                scheduler.step(*([] if given is None else [given[step]]))
        return [torch.tensor(rates, dtype=torch.float64), torch.tensor(momenta, dtype=torch.float64)]

    given = metrics or positions
    options = options or {}
    note = ", ".join(options) or "defaults"
    g.case(name, run, [name, options, [0.1, 0.02], len(given) if given else steps, optimiser, given], grad=False, note=note, rtol=1e-12, atol=1e-15)


case("StepLR", {"stepSize": 7})
case("StepLR", {"stepSize": 20, "gamma": 0.5})
case("MultiStepLR", {"milestones": [5, 12, 12, 40], "gamma": 0.3})
case("ConstantLR")
case("ConstantLR", {"factor": 0.2, "totalIters": 30})
case("LinearLR")
case("LinearLR", {"startFactor": 0.01, "endFactor": 0.8, "totalIters": 25})
case("LinearLR", {"startFactor": 1, "endFactor": 0, "totalIters": 50})
case("ExponentialLR", {"gamma": 0.93})
case("PolynomialLR")
case("PolynomialLR", {"totalIters": 40, "power": 2.5})
case("CosineAnnealingLR", {"tMax": 50})
case("CosineAnnealingLR", {"tMax": 9, "etaMin": 0.001})
case("CosineAnnealingWarmRestarts", {"t0": 8})
case("CosineAnnealingWarmRestarts", {"t0": 4, "tMult": 2, "etaMin": 0.005})
case("CosineAnnealingWarmRestarts", {"t0": 3, "tMult": 3}, positions=[i / 4 for i in range(60)])
case("OneCycleLR", {"maxLr": 0.5, "totalSteps": 60})
case("OneCycleLR", {"maxLr": 0.5, "totalSteps": 55, "threePhase": True, "pctStart": 0.4, "annealStrategy": "linear"}, steps=55)
case("OneCycleLR", {"maxLr": [0.5, 0.05], "totalSteps": 64, "divFactor": 10, "finalDivFactor": 100, "baseMomentum": 0.6, "maxMomentum": 0.8}, optimiser="AdamW")
case("OneCycleLR", {"maxLr": 0.1, "totalSteps": 60, "cycleMomentum": False}, optimiser="AdamW")
case("CyclicLR", {"baseLr": 0.01, "maxLr": 0.1, "stepSizeUp": 7})
case("CyclicLR", {"baseLr": [0.01, 0.001], "maxLr": [0.1, 0.3], "stepSizeUp": 5, "stepSizeDown": 9, "mode": "triangular2"})
case("CyclicLR", {"baseLr": 0.01, "maxLr": 0.1, "stepSizeUp": 8, "mode": "expRange", "gamma": 0.97, "baseMomentum": 0.7}, optimiser="Adam")
case("CyclicLR", {"baseLr": 0.01, "maxLr": 0.1, "stepSizeUp": 6, "scaleFn": "wave", "cycleMomentum": False})
case("LambdaLR", {"lrLambda": "hyperbola"})
case("LambdaLR", {"lrLambda": ["hyperbola", "power"]})
case("MultiplicativeLR", {"lrLambda": "constant"})

case("ChainedScheduler", {"schedulers": [["ConstantLR", {"factor": 0.1, "totalIters": 4}], ["ExponentialLR", {"gamma": 0.95}]]})
case("ChainedScheduler", {"schedulers": [["LinearLR", {"startFactor": 0.1, "totalIters": 10}], ["StepLR", {"stepSize": 15}], ["CosineAnnealingLR", {"tMax": 70}]]})
case("SequentialLR", {"schedulers": [["LinearLR", {"startFactor": 0.01, "totalIters": 10}], ["CosineAnnealingLR", {"tMax": 45}]], "milestones": [10]})
case("SequentialLR", {"schedulers": [["ConstantLR", {"factor": 0.1, "totalIters": 2}], ["ExponentialLR", {"gamma": 0.9}], ["StepLR", {"stepSize": 6}], ["PolynomialLR", {"totalIters": 20}]], "milestones": [5, 20, 41]})
case("SequentialLR", {"schedulers": [["LambdaLR", {"lrLambda": "hyperbola"}], ["CosineAnnealingWarmRestarts", {"t0": 6}], ["MultiStepLR", {"milestones": [3, 9]}]], "milestones": [8, 30]})

falling = [1 / (1 + 0.3 * i) for i in range(12)]
metrics = falling + [falling[-1] + 0.01 * (i % 5) for i in range(48)]
case("ReduceLROnPlateau", {"factor": 0.5, "patience": 3}, metrics=metrics)
case("ReduceLROnPlateau", {"mode": "max", "factor": 0.2, "patience": 2, "threshold": 0.05, "thresholdMode": "abs", "cooldown": 4, "minLr": [0.001, 0.004]}, metrics=metrics)
case("ReduceLROnPlateau", {"mode": "max", "patience": 5, "eps": 0.001}, metrics=metrics)
case("ReduceLROnPlateau", {"threshold": 0.3, "patience": 1, "factor": 0.9, "minLr": 0.01}, metrics=metrics)

g.write()
