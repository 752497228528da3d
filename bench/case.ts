/**
 * What is timed, as data: a case travels as JSON to whoever times it, so that ours and every peer read the same description.
 * Images are described as NHWC sizes; a peer stores them as suits it best.
 */

interface Optimiser {
  optimiser: 'adam' | 'sgd'
  learningRate: number
}

/** A published architecture, with random weights. */
export type ModelName = 'resnet50' | 'mobilenet-v2' | 'bert-base'

export type Work =
  /** `[m, k] x [k, n]`; the result has the operands' dtype. */
  | { kind: 'matmul'; m: number; k: number; n: number; dtype: 'float32' | 'bfloat16' }
  /** Zero padding of half the kernel, no bias. A gradient is made alone, without the forward pass. */
  | {
      kind: 'conv2d'
      batch: number
      size: number
      inChannels: number
      outChannels: number
      kernel: number
      stride: number
      part: 'forward' | 'input-gradient' | 'weight-gradient'
    }
  /** int8 numbers, int32 sums. */
  | { kind: 'matmul-int8'; m: number; k: number; n: number }
  /** As `conv2d` forward with stride 1: uint8 activations, int8 weights; int32 sums, or what the peer makes of them in passing. */
  | { kind: 'conv2d-int8'; batch: number; size: number; inChannels: number; outChannels: number; kernel: number }
  | { kind: 'binary'; fn: 'add'; size: number }
  /** `gelu` is the exact one, over erf. */
  | { kind: 'unary'; fn: 'gelu'; size: number }
  /** Of `[batch, heads, length, size]`, without dropout; `backward`: with the gradients of all three. */
  | { kind: 'attention'; batch: number; heads: number; length: number; size: number; causal: boolean; backward: boolean }
  | { kind: 'softmax'; rows: number; columns: number }
  /** Without an axis: over all elements. */
  | { kind: 'reduce'; fn: 'sum' | 'mean'; rows: number; columns: number; axis?: 0 | 1 }
  /** One step (forward, backward, update) of dense layers with ReLU between them. */
  | ({ kind: 'mlp'; sizes: number[]; batch: number; loss: 'cross-entropy' | 'mse' } & Optimiser)
  /** One step: per block a 3x3 same-size convolution with bias, ReLU and 2x2 max pooling; then one dense layer, cross-entropy. */
  | ({ kind: 'cnn'; batch: number; size: number; channels: number[]; classes: number } & Optimiser)
  /** One step of one encoder layer: post-norm, ReLU, no dropout, no mask; mean squared error to a fixed target. */
  | ({ kind: 'transformer'; batch: number; length: number; width: number; heads: number; hidden: number } & Optimiser)
  /** One step of recurrent layers over whole sequences from zero states, each with both biases; mean squared error to a fixed target. */
  | ({ kind: 'recurrent'; cell: 'lstm' | 'gru'; batch: number; length: number; inputs: number; hidden: number; layers: number } & Optimiser)
  /** A forward pass as in use, without gradients. `size`: side of the pictures, or tokens of a text (of which BERT gives hidden states). */
  | { kind: 'inference'; model: ModelName; batch: number; size: number }
  /** GPT-2 small reads one token behind `position` others, whose keys and values it has kept, and gives logits of the next. */
  | { kind: 'next-token'; batch: number; position: number; capacity: number }
  /** One step with cross-entropy: over 1000 classes of pictures, or 2 of texts. Dropout as published. */
  | ({ kind: 'model-training'; model: ModelName; batch: number; size: number } & Optimiser)
  /**
   * An epoch over the JPEG files of a folder: decoded, a random part resized to 224 x 224, flipped, brightness, contrast and saturation
   * changed, normalised, in batches, by workers (processes or threads).
   */
  | { kind: 'pictures'; folder: string; batch: number; workers: number }
  /** One eager add; `grad`: of inputs that require gradients, so that it is recorded. */
  | { kind: 'tiny-add'; size: number; grad: boolean }

export type Kind = Work['kind']
export type WorkOf<K extends Kind> = Extract<Work, { kind: K }>

export type Unit = 'ms' | 'us' | 'ns' | 'KiB' | 'MiB'

export interface Case {
  suite: string
  name: string
  unit: Unit
  work: Work
}

/** Units to a second. */
export const perSecond = { ms: 1e3, us: 1e6, ns: 1e9 } as const satisfies Record<Exclude<Unit, 'KiB' | 'MiB'>, number>
