import type { Case, Work } from '../case.ts'

const op = (name: string, work: Work): Case => ({ suite: 'ops', name, unit: 'us', work })

const matmul = (n: number) => op(`matmul-${n}-f32`, { kind: 'matmul', m: n, k: n, n, dtype: 'float32' })
const matmulHalf = (n: number) => op(`matmul-${n}-bf16`, { kind: 'matmul', m: n, k: n, n, dtype: 'bfloat16' })

const conv = (batch: number, size: number, inChannels: number, outChannels: number) =>
  op(`conv3x3-${inChannels}-${outChannels}-${size}x${size}-b${batch}`, {
    kind: 'conv2d',
    batch,
    size,
    inChannels,
    outChannels,
    kernel: 3,
    stride: 1,
    part: 'forward',
  })

/** The distinct convolutions of ResNet-50: size, channels in and out, kernel, stride. */
const resnet = [
  [224, 3, 64, 7, 2],
  [56, 64, 64, 1, 1],
  [56, 64, 64, 3, 1],
  [56, 64, 256, 1, 1],
  [56, 256, 64, 1, 1],
  [56, 256, 512, 1, 2],
  [28, 128, 128, 3, 1],
  [28, 128, 512, 1, 1],
  [28, 512, 128, 1, 1],
  [28, 512, 1024, 1, 2],
  [14, 256, 256, 3, 1],
  [14, 256, 1024, 1, 1],
  [14, 1024, 256, 1, 1],
  [14, 1024, 2048, 1, 2],
  [7, 512, 512, 3, 1],
  [7, 512, 2048, 1, 1],
  [7, 2048, 512, 1, 1],
] as const

const resnetConvs = (['forward', 'input-gradient', 'weight-gradient'] as const).flatMap((part) =>
  resnet.map(([size, inChannels, outChannels, kernel, stride]) =>
    op(`resnet-${part}-${size}-${inChannels}-${outChannels}-${kernel}x${kernel}${stride > 1 ? `-s${stride}` : ''}`, {
      kind: 'conv2d',
      batch: 16,
      size,
      inChannels,
      outChannels,
      kernel,
      stride,
      part,
    }),
  ),
)

const bytes = (n: number) => op(`matmul-${n}-i8`, { kind: 'matmul-int8', m: n, k: n, n })

const convBytes = (batch: number, size: number, inChannels: number, outChannels: number) =>
  op(`conv3x3-${inChannels}-${outChannels}-${size}x${size}-b${batch}-i8`, {
    kind: 'conv2d-int8',
    batch,
    size,
    inChannels,
    outChannels,
    kernel: 3,
  })

const attention = (batch: number, length: number, options: { causal?: boolean; backward?: boolean } = {}) => {
  const { causal = false, backward = false } = options
  const name = `attention-${length}-f32${causal ? '-causal' : ''}${backward ? '-backward' : ''}`
  return op(name, { kind: 'attention', batch, heads: 8, length, size: 64, causal, backward })
}

const million = 1 << 20

export const ops: Case[] = [
  ...[64, 128, 256, 512, 1024, 2048].map(matmul),
  ...[256, 512, 1024, 2048].map(matmulHalf),
  conv(64, 28, 1, 32),
  conv(64, 14, 32, 64),
  conv(8, 56, 64, 64),
  conv(8, 14, 256, 256),
  ...resnetConvs,
  ...[256, 512, 1024].map(bytes),
  convBytes(8, 56, 64, 64),
  convBytes(8, 14, 256, 256),
  ...[{}, { backward: true }, { causal: true }, { causal: true, backward: true }].flatMap((options) => [
    attention(8, 128, options),
    attention(2, 512, options),
    attention(1, 2048, options),
  ]),
  op('add-1m', { kind: 'binary', fn: 'add', size: million }),
  op('gelu-1m', { kind: 'unary', fn: 'gelu', size: million }),
  op('softmax-512x1024', { kind: 'softmax', rows: 512, columns: 1024 }),
  op('sum-1024x1024', { kind: 'reduce', fn: 'sum', rows: 1024, columns: 1024 }),
  op('sum-1024x1024-rows', { kind: 'reduce', fn: 'sum', rows: 1024, columns: 1024, axis: 1 }),
  op('mean-1024x1024-columns', { kind: 'reduce', fn: 'mean', rows: 1024, columns: 1024, axis: 0 }),
]
