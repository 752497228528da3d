"""Writes a model for ONNX Runtime: python onnx_export.py WORK FILE, with a case's work as JSON. Needs torch, onnx and onnxscript."""

import json
import sys

import torch
from pytorch_models import BertHidden, PastGpt2, picture_model, texts

# Libraries look for others by names that files beside this one have, too.
sys.path.pop(0)
work, path = json.loads(sys.argv[1]), sys.argv[2]
if work["kind"] == "next-token":
    model = PastGpt2()
    inputs = {"token": torch.full((work["batch"], 1), 7), "past": torch.randn(12, 2, work["batch"], 12, work["position"], 64)}
elif work["model"] == "bert-base":
    model, inputs = BertHidden(), {"tokens": texts(work["batch"], work["size"])}
else:
    model, inputs = picture_model(work["model"]), {"images": torch.randn(work["batch"], 3, work["size"], work["size"])}
torch.onnx.export(model.eval(), tuple(inputs.values()), path, input_names=list(inputs), external_data=False, verbose=False)
