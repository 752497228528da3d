"""Golden values of metrics by scikit-learn, torchmetrics, sacreBLEU and rouge-score; writes data/metrics.json. See golden.py.

    pip install torch==2.13.0 numpy scikit-learn==1.9.1 torchmetrics==1.9.0 sacrebleu==2.6.0 rouge-score==0.1.2

A case's name is the class, its arguments are the options, then what `update` takes: predictions, targets, and weights if there are
any. Results are numbers or nested lists of them.
"""

import math
import warnings

import numpy as np
import sacrebleu
import sklearn.metrics as sk
import torch
import torchmetrics as tm
import torchmetrics.classification as tmc
from rouge_score import rouge_scorer
from scipy import stats

from golden import Golden, floats, ints

warnings.filterwarnings("ignore")
g = Golden("metrics")


def plain(x):
    """NumPy and torch values as numbers and lists; NaN stays."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, (np.ndarray, torch.Tensor)):
        return plain(x.tolist())
    return float(x)


def case(name, options, predictions, targets, expected, weights=None, note=None):
    args = [options, predictions, targets] + ([] if weights is None else [weights])
    # torchmetrics works in float32.
    g.case(name, lambda *_: plain(expected), args, grad=False, note=note, rtol=1e-6 if isinstance(expected, torch.Tensor) else 1e-12)


def few_digits(x):
    """Keeps the file small."""
    return torch.round(x * 1000) / 1000


def probabilities(n, classes):
    scores = floats(n, classes, dtype=torch.float64)
    return torch.softmax(scores, -1)


N, C = 30, 4
scores = probabilities(N, C)
classes = ints(N, low=0, high=C)
# Better than chance, as models are.
scores = few_digits(torch.softmax(torch.log(scores) + 1.2 * torch.nn.functional.one_hot(classes.long(), C), -1))
weights = floats(N, low=0.25, high=3, dtype=torch.float64)
predicted = scores.argmax(-1)
# Class 3 is never predicted, class 2 never right.
scarce_predicted = ints(N, low=0, high=3)
scarce = torch.where(ints(N, low=0, high=4) == 2, 3, ints(N, low=0, high=2)).to(torch.int32)

binary = torch.round(torch.sigmoid(floats(N, dtype=torch.float64) + 1.5 * classes / C) * 50) / 50  # with ties
yes = (classes >= 2).to(torch.int32)
labels = (floats(N, C, dtype=torch.float64) > 0.3).to(torch.int32)
label_scores = few_digits(torch.sigmoid(floats(N, C, dtype=torch.float64) + 1.5 * labels))
AVERAGES = {"micro": "micro", "macro": "macro", "weighted": "weighted", "none": None}
every = list(range(C))

# Counts of classes.
for ours, theirs in AVERAGES.items():
    multi = {"classes": C, "average": ours}
    label = {**multi, "task": "multilabel"}
    for note, p, t, w in [("", scores, classes, None), ("weights", scores, classes, weights), ("scarce", scarce_predicted, scarce, None)]:
        index = predicted if p is scores else p
        common = dict(labels=every, average=theirs, sample_weight=w, zero_division=0)
        case("Precision", multi, p, t, sk.precision_score(t, index, **common), w, note)
        case("Recall", multi, p, t, sk.recall_score(t, index, **common), w, note)
        case("FBeta", multi, p, t, sk.f1_score(t, index, **common), w, note)
        case("FBeta", {**multi, "beta": 0.5}, p, t, sk.fbeta_score(t, index, beta=0.5, **common), w, note)
        case("Dice", multi, p, t, sk.f1_score(t, index, **common), w, note)
        case("IoU", multi, p, t, sk.jaccard_score(t, index, **common), w, note)
    case("Precision", {**multi, "zeroDivision": 1}, scarce_predicted, scarce, sk.precision_score(scarce, scarce_predicted, labels=every, average=theirs, zero_division=1))
    case("Precision", {**multi, "zeroDivision": math.nan}, scarce_predicted, scarce, sk.precision_score(scarce, scarce_predicted, labels=every, average=theirs, zero_division=np.nan))
    said = (label_scores > 0.5).int()
    common = dict(average=theirs, zero_division=0)
    case("Precision", label, label_scores, labels, sk.precision_score(labels, said, **common))
    case("Recall", label, label_scores, labels, sk.recall_score(labels, said, **common))
    case("FBeta", label, label_scores, labels, sk.f1_score(labels, said, **common))
    case("IoU", label, label_scores, labels, sk.jaccard_score(labels, said, **common))
    case("Specificity", multi, scores, classes, tmc.MulticlassSpecificity(C, average=ours)(scores, classes))
    case("Accuracy", multi, scores, classes, tmc.MulticlassAccuracy(C, average=ours)(scores, classes))
    case("Accuracy", label, label_scores, labels, tmc.MultilabelAccuracy(C, average=ours)(label_scores, labels))
said = (binary > 0.5).int()
for w in [None, weights]:
    case("Precision", {}, binary, yes, sk.precision_score(yes, said, sample_weight=w), w)
    case("Recall", {}, binary, yes, sk.recall_score(yes, said, sample_weight=w), w)
    case("FBeta", {"beta": 2}, binary, yes, sk.fbeta_score(yes, said, beta=2, sample_weight=w), w)
    case("IoU", {}, binary, yes, sk.jaccard_score(yes, said, sample_weight=w), w)
    case("Accuracy", {}, binary, yes, sk.accuracy_score(yes, said, sample_weight=w), w)
    case("Accuracy", {"classes": C}, scores, classes, sk.accuracy_score(classes, predicted, sample_weight=w), w)
    case("Accuracy", {"classes": C, "average": "macro"}, scores, classes, sk.balanced_accuracy_score(classes, predicted, sample_weight=w), w)
    for k in [2, 3, 4]:
        case("Accuracy", {"classes": C, "topK": k}, scores, classes, sk.top_k_accuracy_score(classes, scores, k=k, sample_weight=w, labels=every), w)
    for ours, theirs in {"none": None, "true": "true", "predicted": "pred", "all": "all"}.items():
        options = {} if ours == "none" else {"normalize": ours}
        case("ConfusionMatrix", {"classes": C, **options}, scores, classes, sk.confusion_matrix(classes, predicted, labels=every, normalize=theirs, sample_weight=w), w)
        case("ConfusionMatrix", options, binary, yes, sk.confusion_matrix(yes, said, normalize=theirs, sample_weight=w), w)
    case("MatthewsCorrelation", {"classes": C}, scores, classes, sk.matthews_corrcoef(classes, predicted, sample_weight=w), w)
    case("MatthewsCorrelation", {}, binary, yes, sk.matthews_corrcoef(yes, said, sample_weight=w), w)
    for distance in [None, "linear", "quadratic"]:
        options = {"classes": C, **({"distance": distance} if distance else {})}
        case("CohenKappa", options, scores, classes, sk.cohen_kappa_score(classes, predicted, labels=every, weights=distance, sample_weight=w), w)
case("Accuracy", {"threshold": 0.7}, binary, yes, sk.accuracy_score(yes, (binary > 0.7).int()))
case("Accuracy", {"fromLogits": True}, torch.logit(binary), yes, sk.accuracy_score(yes, said))
case("Accuracy", {"task": "multilabel", "classes": C, "subset": True}, label_scores, labels, sk.accuracy_score(labels, (label_scores > 0.5).int()))
case("ConfusionMatrix", {"task": "multilabel", "classes": C}, label_scores, labels, sk.multilabel_confusion_matrix(labels, (label_scores > 0.5).int()))
ignored = torch.where(ints(N, low=0, high=5) == 0, -1, classes).to(torch.int32)
case("Accuracy", {"classes": C, "ignoreIndex": -1}, scores, ignored, tmc.MulticlassAccuracy(C, average="micro", ignore_index=-1)(scores, ignored))
case("FBeta", {"classes": C, "ignoreIndex": -1}, scores, ignored, tmc.MulticlassF1Score(C, average="macro", ignore_index=-1)(scores, ignored))
pixels = few_digits(torch.softmax(floats(2, 5, 7, C, dtype=torch.float64), -1))
mask = ints(2, 5, 7, low=0, high=C)
case("IoU", {"classes": C, "average": "none"}, pixels, mask, sk.jaccard_score(mask.flatten(), pixels.argmax(-1).flatten(), average=None))

# Order of scores.
onehot = torch.nn.functional.one_hot(classes.long(), C)
for w in [None, weights]:
    case("RocAuc", {}, binary, yes, sk.roc_auc_score(yes, binary, sample_weight=w), w)
    case("AveragePrecision", {}, binary, yes, sk.average_precision_score(yes, binary, sample_weight=w), w)
    precision, recall, _ = sk.precision_recall_curve(yes, binary, sample_weight=w)
    case("PrAuc", {}, binary, yes, sk.auc(recall, precision), w)
    for ours, theirs in AVERAGES.items():
        case("RocAuc", {"classes": C, "average": ours}, scores, classes, sk.roc_auc_score(onehot, scores, average=theirs, sample_weight=w), w)
        case("AveragePrecision", {"classes": C, "average": ours}, scores, classes, sk.average_precision_score(onehot, scores, average=theirs, sample_weight=w), w)
        label = {"task": "multilabel", "classes": C, "average": ours}
        case("RocAuc", label, label_scores, labels, sk.roc_auc_score(labels, label_scores, average=theirs, sample_weight=w), w)
        case("AveragePrecision", label, label_scores, labels, sk.average_precision_score(labels, label_scores, average=theirs, sample_weight=w), w)
for thresholds in [5, 50, [0.1, 0.35, 0.5, 0.8]]:
    own = torch.tensor(thresholds, dtype=torch.float64) if isinstance(thresholds, list) else thresholds
    if not isinstance(thresholds, list):
        case("RocAuc", {"thresholds": thresholds}, binary, yes, tmc.BinaryAUROC(thresholds=own)(binary, yes))
    case("AveragePrecision", {"thresholds": thresholds}, binary, yes, sk.average_precision_score(yes, np.searchsorted(own if isinstance(thresholds, list) else np.linspace(0, 1, thresholds), binary, side="right")))
case("RocAuc", {"classes": C, "thresholds": 20}, scores, classes, tmc.MulticlassAUROC(C, thresholds=20)(scores, classes.long()))

# Probabilities.
for w in [None, weights]:
    case("LogLoss", {}, binary, yes, sk.log_loss(yes, binary, sample_weight=w), w)
    case("LogLoss", {"classes": C}, scores, classes, sk.log_loss(classes, scores, sample_weight=w), w)
    case("BrierScore", {}, binary, yes, sk.brier_score_loss(yes, binary, sample_weight=w), w)
    case("BrierScore", {"classes": C}, scores, classes, sk.brier_score_loss(classes, scores, sample_weight=w, scale_by_half=False), w)
case("LogLoss", {}, torch.tensor([0.0, 1.0, 0.3], dtype=torch.float64), torch.tensor([0, 0, 1], dtype=torch.int32), sk.log_loss([0, 0, 1], [0.0, 1.0, 0.3]))
fine = few_digits(torch.sigmoid(floats(N, dtype=torch.float64) * 2)) + 1 / 4096
for norm in ["l1", "l2", "max"]:
    for bins in [15, 4]:
        options = {"norm": norm, "bins": bins}
        case("CalibrationError", {"classes": C, **options}, scores, classes, tmc.MulticlassCalibrationError(C, n_bins=bins, norm=norm)(scores, classes))
        case("CalibrationError", options, fine, yes, tmc.BinaryCalibrationError(n_bins=bins, norm=norm)(fine, yes))
logits = floats(3, 7, 11, low=-4, high=4, dtype=torch.float64)
tokens = ints(3, 7, low=0, high=11)
case("Perplexity", {}, logits, tokens, tm.text.Perplexity()(logits, tokens.long()))
padded = torch.where(tokens < 3, 0, tokens)
case("Perplexity", {"ignoreIndex": 0}, logits, padded, tm.text.Perplexity(ignore_index=0)(logits, padded.long()))

# Regression.
target = floats(N, dtype=torch.float64) * 3 + 100
estimate = target + floats(N, dtype=torch.float64, low=-1, high=1.5)
outputs = floats(N, 3, dtype=torch.float64) * torch.tensor([1.0, 4.0, 0.25])
estimates = outputs + floats(N, 3, dtype=torch.float64, low=-0.5, high=0.4)
for w in [None, weights]:
    for name, f in [
        ("MeanAbsoluteError", sk.mean_absolute_error),
        ("MeanSquaredError", sk.mean_squared_error),
        ("RootMeanSquaredError", sk.root_mean_squared_error),
        ("MeanAbsolutePercentageError", sk.mean_absolute_percentage_error),
        ("R2Score", sk.r2_score),
        ("ExplainedVariance", sk.explained_variance_score),
    ]:
        case(name, {}, estimate, target, f(target, estimate, sample_weight=w), w)
    for name, f in [("R2Score", sk.r2_score), ("ExplainedVariance", sk.explained_variance_score)]:
        for ours, theirs in {"uniform": "uniform_average", "variance": "variance_weighted", "none": "raw_values"}.items():
            case(name, {"outputs": 3, "average": ours}, estimates, outputs, f(outputs, estimates, multioutput=theirs, sample_weight=w), w)
case("R2Score", {"regressors": 4}, estimate, target, tm.R2Score(adjusted=4)(estimate, target))
constant = torch.full((5,), 0.1, dtype=torch.float64)
case("R2Score", {}, constant, constant, sk.r2_score(constant, constant), note="targets that do not vary")
case("R2Score", {}, floats(5, dtype=torch.float64), torch.full((5,), 2.0, dtype=torch.float64), 0.0, note="targets that do not vary")
case("MeanAbsolutePercentageError", {}, estimate[:3], torch.tensor([0.0, 1.0, -2.0], dtype=torch.float64), sk.mean_absolute_percentage_error([0.0, 1.0, -2.0], estimate[:3]))
case("PearsonCorrelation", {}, estimate, target, stats.pearsonr(estimate, target)[0])
far = target * 1e-4 + 1e6
case("PearsonCorrelation", {}, estimate, far, stats.pearsonr(estimate, far)[0], note="far from zero")
case("PearsonCorrelation", {"outputs": 3, "average": "none"}, estimates, outputs, [stats.pearsonr(estimates[:, i], outputs[:, i])[0] for i in range(3)])
ranked, tied = torch.round(estimate), torch.round(target / 2)
case("SpearmanCorrelation", {}, estimate, target, stats.spearmanr(estimate, target)[0])
case("SpearmanCorrelation", {}, ranked, tied, stats.spearmanr(ranked, tied)[0], note="ties")
case("CosineSimilarity", {}, estimates, outputs, tm.CosineSimilarity(reduction="mean")(estimates, outputs))

# Texts.
HYPOTHESES = [
    "The cat sat on the mat, and looked at 3,000 mice.",
    "It's a well-known fact -- isn't it? (Yes!)",
    "to be or not to be",
    "He paid $5.50 for 1990-2000 records &amp; &quot;more&quot;.",
    "",
    "Größe über alles: «Été» — 50% …",
    "short",
    "the the the the the the the",
    "The quick brown fox\njumps over the lazy dog",
]
REFERENCES = [
    ["The cat sat on a mat and looked at 3,000 mice.", "A cat was sitting on the mat, looking at 3,000 mice!"],
    ["It is a well-known fact, isn't it? Yes!", "That's a well known fact (yes)"],
    ["to be or not to be, that is the question", "be not"],
    ["He paid $5.50 for records of 1990-2000 & \"more\".", "For $5.50, he bought records"],
    ["nothing was said here", "silence"],
    ["Größe vor allem: «Été» – 50% …", "Alles ist groß"],
    ["short", "long and short"],
    ["the cat is on the mat", "there is a cat on the mat"],
    ["The quick brown dog jumps\non the log. The fox\nis lazy", "A fox\njumps over dogs"],
]
for i, lower in [(1, False), (2, False), (2, True)]:
    references = [r[:i] for r in REFERENCES]
    streams = [[r[k] for r in references] for k in range(i)]
    for tokenize in ["13a", "intl", "char", "none"]:
        options = {"tokenize": tokenize, "lowercase": lower}
        case("Bleu", options, HYPOTHESES, references, sacrebleu.corpus_bleu(HYPOTHESES, streams, tokenize=tokenize, lowercase=lower).score)
few = [0, 2, 5, 6]
for pick in [[6], [2], [5], few, [7], [4]]:
    hypotheses, references = [HYPOTHESES[i] for i in pick], [REFERENCES[i] for i in pick]
    streams = [[r[k] for r in references] for k in range(2)]
    for method, value in [("exp", None), ("floor", None), ("floor", 0.5), ("add-k", None), ("add-k", 0.3), ("none", None)]:
        for effective in [False, True]:
            bleu = sacrebleu.BLEU(smooth_method=method, smooth_value=value, effective_order=effective)
            options = {"smoothing": method, "effectiveOrder": effective, **({} if value is None else {"smoothingValue": value})}
            case("Bleu", options, hypotheses, references, bleu.corpus_score(hypotheses, streams).score)
case("Bleu", {"maxOrder": 2}, HYPOTHESES, [r[0] for r in REFERENCES], sacrebleu.BLEU(max_ngram_order=2).corpus_score(HYPOTHESES, [[r[0] for r in REFERENCES]]).score)
TYPES = ["rouge1", "rouge2", "rouge3", "rougeL", "rougeLsum"]
scorer = rouge_scorer.RougeScorer(TYPES)
for i in [1, 2]:
    each = [scorer.score_multi(r[:i], h) for h, r in zip(HYPOTHESES, REFERENCES)]
    mean = {t: np.mean([s[t].fmeasure for s in each]) for t in TYPES}
    case("Rouge", {"types": TYPES}, HYPOTHESES, [r[:i] for r in REFERENCES], mean)

g.write()
