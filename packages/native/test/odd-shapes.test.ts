import { expect, it } from 'vitest'
import { run } from './processes.ts'

// In a process of its own: what goes wrong here would end it.
const program = `
import * as ct from 'cotangent'
await ct.setThreads(2)
let state = Number(process.env.SEED)
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
const from = (list) => list[Math.floor(random() * list.length)]
const size = () => from([0, 1, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65])
const huge = () => from([2 ** 29 + 1, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 64, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1])
const dtypes = ['float32', 'float32', 'bfloat16', 'float16', 'float64', 'int32']
/** Dense, one element behind the start of memory's blocks, with other axes inside, with one row for all, or backwards. */
function make(shape, dtype = 'float32') {
  const dense = (of) => ct.normal(of).mul(3).cast(dtype)
  const last = shape.length - 1
  switch (from([0, 1, 2, 3, 4])) {
    case 1: return dense([...shape.slice(0, -1), shape[last] + 2]).narrow(-1, 1, shape[last])
    case 2: return dense(shape.toReversed()).permute(shape.map((_, axis) => last - axis))
    case 3: return dense(shape.map((n, axis) => (axis === 0 && n > 0 ? 1 : n))).expand(shape)
    case 4: return dense(shape).flip(0)
    default: return dense(shape)
  }
}
const one = (shape) => ct.zeros(shape.map(() => 1)).expand(shape)
function forwardAndBack(inputs, f) {
  const floats = inputs.every((x) => x.dtype.includes('float'))
  const given = floats ? inputs.map((x) => x.detach().setRequiresGrad()) : inputs
  const y = f(...given)
  if (floats) y.sum().backward()
  return y
}
const ops = {
  matmul() {
    const [m, k, n, dtype] = [size(), size(), size(), from(dtypes)]
    return forwardAndBack([make([from([1, 2]), m, k], dtype), make([k, n], dtype)], (a, b) => a.matmul(b))
  },
  fewRows() {
    return forwardAndBack([make([1 + size(), 301]), make([301, 900 + size()])], (a, b) => a.matmul(b))
  },
  conv() {
    const axes = from([1, 2, 3])
    const each = (f) => Array.from({ length: axes }, f)
    const [groups, per, out] = [from([1, 2, 16]), from([1, 3, 16]), from([1, 2, 17])]
    const x = make([from([0, 1, 2]), ...each(() => from([0, 1, 3, 8, 13])), groups * per], from(['float32', 'bfloat16']))
    const w = make([...each(() => from([1, 2, 3])), per, groups * out], x.dtype)
    const options = { groups, stride: from([1, 2, 3]), padding: from([0, 1, 3]), dilation: from([1, 2]) }
    return forwardAndBack([x, w], (x, w) => ct['conv' + axes + 'd'](x, w, options).relu())
  },
  convTranspose() {
    const [x, w] = [make([from([0, 2]), size(), from([0, 3]), 4]), make([from([1, 2]), 3, 5, 4])]
    return forwardAndBack([x, w], (x, w) => ct.convTranspose2d(x, w, { stride: from([1, 2]), dilation: from([1, 2]) }))
  },
  attention() {
    const [batch, queries, keys, inner, width, dtype] = [from([0, 1, 3]), size(), size(), size(), size(), from(['float32', 'bfloat16'])]
    const [q, k, v] = [make([batch, queries, inner], dtype), make([batch, keys, inner], dtype), make([batch, keys, width], dtype)]
    return forwardAndBack([q, k, v], (q, k, v) => ct.scaledDotProductAttention(q, k, v, { causal: from([false, true]) }))
  },
  hugeMatrix: () => from([
    () => one([huge(), 3]).matmul(one([3, 2])),
    () => one([1, huge()]).matmul(one([huge(), 1])),
    () => one([1, 3]).matmul(one([3, huge()])),
    () => one([huge(), 2, 2]).matmul(one([2, 2])),
  ])(),
  hugeWindow() {
    const [x, w] = [ct.normal([1, 8, 8, 16]), ct.normal([3, 3, 16, 16])]
    return from([
      () => ct.conv2d(one([1, huge(), 8, 16]), w, { padding: 1 }),
      () => ct.conv2d(x, w, { padding: huge() }),
      () => ct.conv2d(x, w, { padding: 1, stride: huge() }),
      () => ct.conv2d(x, w, { padding: 1, dilation: huge() }),
      () => ct.conv2d(x, ct.normal([3, 3, 1, 16]), { padding: 1, stride: huge(), groups: 16 }),
    ])()
  },
}
let done = 0
for (let i = 0; i < 100; i++) {
  const name = from(Object.keys(ops))
  try {
    await ops[name]().data()
    done++
  } catch (error) {
    if (!(error instanceof ct.CotangentError) || error.code === 'engine-failure') throw error
  }
}
console.log(done > 40)
`

it.each([
  ['all', 1],
  ['0', 2],
])('odd and huge sizes and strides are computed or refused (COTANGENT_NATIVE=%s)', async (native, seed) => {
  expect((await run(program, { SEED: String(seed), COTANGENT_NATIVE: native }, 'mjs')).stdout.trim()).toBe('true')
})
