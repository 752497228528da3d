"""Prints what TensorBoard's EventAccumulator finds in a run, as JSON."""

import base64
import json
import os
import sys

import numpy as np
from google.protobuf import text_format
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.pr_curve import metadata as pr_curves
from tensorboard.plugins.projector import projector_plugin
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.util import tensor_util

run = event_accumulator.EventAccumulator(sys.argv[1], {kind: 0 for kind in event_accumulator.DEFAULT_SIZE_GUIDANCE})
run.Reload()
tags = run.Tags()


def encode(data):
    return base64.b64encode(data).decode("ascii")


def elements(tensor):
    array = tensor_util.make_ndarray(tensor)
    values = [encode(v) for v in array.ravel()] if array.dtype == object else [float(v) for v in array.ravel()]
    return {"shape": list(array.shape), "values": values}


def histogram(h):
    fields = ("min", "max", "num", "sum", "sum_squares")
    return {**{f: getattr(h, f) for f in fields}, "limits": list(h.bucket_limit), "counts": list(h.bucket)}


def image(i):
    return {"width": i.width, "height": i.height, "data": encode(i.encoded_image_string)}


def audio(a):
    return {"rate": a.sample_rate, "frames": a.length_frames, "type": a.content_type, "data": encode(a.encoded_audio_string)}


def series(events, value):
    return [{"step": e.step, "wallTime": e.wall_time, **value(e)} for e in events]


def metadata(tag):
    found = run.SummaryMetadata(tag)
    return {
        "plugin": found.plugin_data.plugin_name,
        "displayName": found.display_name,
        "description": found.summary_description,
        "dataClass": found.data_class,
    }


def slices(tag):
    devices = run.RunMetadata(tag).step_stats.dev_stats
    return [[d.device, n.node_name, n.all_start_micros, n.all_end_rel_micros] for d in devices for n in d.node_stats]


def session(content):
    start = hparams.parse_session_start_info_plugin_data(content)
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}


def experiment(content):
    found = hparams.parse_experiment_plugin_data(content)
    return {"hparams": [h.name for h in found.hparam_infos], "metrics": [m.name.tag for m in found.metric_infos]}


def embedding(info):
    def read(path):
        with open(os.path.join(sys.argv[1], path), "rb") as file:
            return file.read()

    return {
        "name": info.tensor_name,
        "points": projector_plugin._read_tensor_tsv_file(os.path.join(sys.argv[1], info.tensor_path)).tolist(),
        "labels": read(info.metadata_path).decode("utf-8").splitlines(),
        "sprite": encode(read(info.sprite.image_path)),
        "image": list(info.sprite.single_image_dim),
    }


with open(os.path.join(sys.argv[1], "projector_config.pbtxt")) as file:
    projector = text_format.Parse(file.read(), ProjectorConfig())

hparams_content = run.PluginTagToContent("hparams")
print(
    json.dumps(
        {
            "fileVersion": run.file_version,
            "scalars": {t: series(run.Scalars(t), lambda e: {"value": repr(e.value)}) for t in tags["scalars"]},
            "histograms": {t: series(run.Histograms(t), lambda e: histogram(e.histogram_value)) for t in tags["histograms"]},
            "images": {t: series(run.Images(t), image) for t in tags["images"]},
            "audio": {t: series(run.Audio(t), audio) for t in tags["audio"]},
            "tensors": {t: series(run.Tensors(t), lambda e: elements(e.tensor_proto)) for t in tags["tensors"]},
            "metadata": {t: metadata(t) for t in run.summary_metadata},
            "graph": [[n.name, n.op, list(n.input)] for n in run.Graph().node] if tags["graph"] else None,
            "profiles": {t: slices(t) for t in tags["run_metadata"]},
            "experiment": experiment(hparams_content[hparams.EXPERIMENT_TAG]),
            "session": session(hparams_content[hparams.SESSION_START_INFO_TAG]),
            "status": hparams.parse_session_end_info_plugin_data(hparams_content[hparams.SESSION_END_INFO_TAG]).status,
            "embeddings": [embedding(info) for info in projector.embeddings],
            "thresholds": {t: pr_curves.parse_plugin_metadata(c).num_thresholds for t, c in run.PluginTagToContent("pr_curves").items()},
        }
    )
)
