"""TensorFlow's tf.data as a peer of the `data` suite; speaks the JSON lines of host.ts. Needs tensorflow >= 2.16."""

import glob
import os
import time

from protocol import serve, unavailable

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

try:
    import tensorflow as tf
except ImportError as error:
    unavailable(error)

SIZE = 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def augmented(path):
    """Decodes only what is left of the picture, as TensorFlow's own input pipelines do."""
    file = tf.io.read_file(path)
    shape = tf.io.extract_jpeg_shape(file)
    whole = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
    begin, extent, _ = tf.image.sample_distorted_bounding_box(
        shape, whole, min_object_covered=0.0, aspect_ratio_range=(3 / 4, 4 / 3), area_range=(0.08, 1.0), max_attempts=10
    )
    window = tf.stack([begin[0], begin[1], extent[0], extent[1]])
    image = tf.image.resize(tf.io.decode_and_crop_jpeg(file, window, channels=3), (SIZE, SIZE), antialias=True)
    image = tf.image.random_flip_left_right(image) * tf.random.uniform([], 0.6, 1.4)
    image = tf.clip_by_value(image, 0.0, 255.0)
    grey = tf.image.rgb_to_grayscale(image)
    mean = tf.reduce_mean(grey)
    image = tf.clip_by_value(mean + (image - mean) * tf.random.uniform([], 0.6, 1.4), 0.0, 255.0)
    grey = tf.image.rgb_to_grayscale(image)
    image = tf.clip_by_value(grey + (image - grey) * tf.random.uniform([], 0.6, 1.4), 0.0, 255.0)
    return (image / 255.0 - MEAN) / DEVIATION


def pictures(w):
    files = sorted(glob.glob(w["folder"] + "/*.jpg"))
    dataset = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files))
    dataset = dataset.map(augmented, num_parallel_calls=w["workers"], deterministic=True).batch(w["batch"]).prefetch(2)
    options = tf.data.Options()
    options.threading.private_threadpool_size = w["workers"]
    dataset = dataset.with_options(options)

    def step():
        for _ in dataset:
            pass

    return step


def main():
    key, step = None, None

    def answer(request):
        nonlocal key, step
        if "release" in request:
            key = step = None
            return None
        work = request["time"]
        if key != work:
            step, key = pictures(work), work
            step()
        start = time.perf_counter()
        for _ in range(request["iterations"]):
            step()
        return {"seconds": (time.perf_counter() - start) / request["iterations"]}

    serve({"version": tf.__version__, "threads": 2}, answer)


main()
