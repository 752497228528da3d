import { dtypeInfo } from '../../dtype.ts'
import { isContiguous, rowMajor, sizeOf } from '../../layout.ts'
import { type Kernel, KernelBuilder } from '../kernel.ts'
import { type Operand, type RecurrentAttrs, recurrentCells, type Routine, routine } from '../routine.ts'
import type { KernelRun } from './launch.ts'
import { stepGradKernel, stepKernel } from './recurrent-steps.ts'
import { type StepCompiler, withScratch } from './steps.ts'

const dense = (dtype: Operand['dtype'], shape: readonly number[]): Operand => ({ dtype, shape, strides: rowMajor(shape) })
const bytesOf = ({ dtype, shape }: Operand): number => sizeOf(shape) * dtypeInfo[dtype].size
/** The dtype that sums are made in. */
const wide = ({ dtype }: Operand): 'float32' | 'float64' => (dtype === 'float64' ? 'float64' : 'float32')

/** A recurrent layer as a product and a kernel for each step, which are made ready once. */
export function prepareRecurrent({ attrs, inputs, outputs }: Routine<'recurrent'>, compiler: StepCompiler): KernelRun {
  const { cell } = attrs
  const { states: count, gates, kept } = recurrentCells[cell]
  const [share, weights, ...others] = inputs as [Operand, Operand, ...Operand[]]
  const firsts = others.slice(0, count)
  const bias = others.slice(count)
  const [time, batch, , size] = share.shape as readonly [number, number, number, number]
  const state = outputs[0]!.dtype
  const keeps = outputs.length > count
  const raw = dense(wide(outputs[0]!), [batch, gates * size])
  const product = compiler.product(routine('matmul', {}, [dense(state, [batch, size]), weights, ...bias], [raw]))
  const step = compiler.kernel(stepKernel(cell, share, raw.dtype, state, keeps))
  const starts = firsts.map((first) => compiler.kernel(copyKernel(first, state)))

  const unit = dtypeInfo[state].size
  const stateBytes = batch * size * unit
  const shareBytes = share.strides[0]! * dtypeInfo[share.dtype].size
  const order = stepsOf(time, attrs)
  return withScratch(compiler.heap, [bytesOf(raw)], (pointers, [rawAt]) => {
    const firstOutput = inputs.length
    const stateAt = (i: number, position: number) => pointers[firstOutput + i]! + position * stateBytes
    starts.forEach((start, i) => start([pointers[2 + i]!, stateAt(i, firstState(time, attrs))], noScalars))
    const biasAt = bias.map((_, i) => pointers[2 + count + i]!)
    const product0 = [0, pointers[1]!, ...biasAt, rawAt!]
    for (const { t, before, after } of order) {
      product0[0] = stateAt(0, before)
      product(product0, noScalars)
      const read = [pointers[0]! + t * shareBytes, rawAt!]
      if (cell === 'lstm') read.push(stateAt(1, before))
      if (cell === 'gru') read.push(stateAt(0, before))
      for (let i = 0; i < count; i++) read.push(stateAt(i, after))
      if (keeps) for (let i = 0; i < kept; i++) read.push(pointers[firstOutput + count]! + (t * batch * kept + i) * size * unit)
      step(read, noScalars)
    }
  })
}

/** The gradient of a recurrent layer in the same way, backwards. */
export function prepareRecurrentGrad({ attrs, inputs, outputs }: Routine<'recurrentGrad'>, compiler: StepCompiler): KernelRun {
  const { cell } = attrs
  const { states: count, gates, kept } = recurrentCells[cell]
  const above = inputs.slice(0, count)
  const weights = inputs[count]!
  const [time, batch, , size] = outputs[0]!.shape as readonly [number, number, number, number]
  const [made, state] = [outputs[0]!.dtype, inputs[count + 1]!.dtype]
  const type = wide(outputs[0]!)
  const raw = dense(type, [batch, size])
  // Laid out once as the product of each step reads it fastest.
  const turned = dense(weights.dtype, [gates * size, size])
  const turn = compiler.kernel(
    copyKernel({ dtype: weights.dtype, shape: turned.shape, strides: weights.strides.toReversed() }, weights.dtype),
  )
  const product = compiler.product(routine('matmul', {}, [dense(made, [batch, gates * size]), turned], [raw]))
  const step = compiler.kernel(stepGradKernel(cell, batch, size, raw.dtype, { above: above[0]!.dtype, state, made }))
  const sums = [gatesSum(cell === 'gru' ? 2 : 1), ...(cell === 'lstm' ? [gatesSum(1)] : [])]
  const order = stepsOf(time, attrs).toReversed()
  const scattered = inputs.flatMap((x, input) =>
    input === count || isContiguous(x.shape, x.strides)
      ? []
      : [{ input, bytes: bytesOf(x), copy: compiler.kernel(copyKernel(x, x.dtype)) }],
  )

  /** Gradient of the first state: what arrives at it, and what comes back in so many buffers. */
  function gatesSum(carries: number): KernelRun {
    const k = new KernelBuilder('firstStateGrad', [batch, size])
    let sum = k.load(k.input(above[0]!.dtype), [size, 1])
    for (let i = 0; i < carries; i++) sum = k.add(sum, k.load(k.input(type), [size, 1]))
    k.output(made, sum)
    return compiler.kernel(k.build())
  }

  const stateBytes = (dtype: Operand['dtype']) => batch * size * dtypeInfo[dtype].size
  const [aboveBytes, keptBytes, unit] = [stateBytes(above[0]!.dtype), stateBytes(state), dtypeInfo[made].size]
  // What comes back by the product, and besides.
  return withScratch(compiler.heap, [bytesOf(turned), bytesOf(raw), bytesOf(raw), ...scattered.map((x) => x.bytes)], (given, scratch) => {
    const [turnedAt, carryAt, besideAt, ...copiesAt] = scratch as [number, number, number, ...number[]]
    const pointers = [...given]
    scattered.forEach(({ input, copy }, i) => {
      copy([given[input]!, copiesAt[i]!], noScalars)
      pointers[input] = copiesAt[i]!
    })
    const aboveAt = (i: number, position: number) => pointers[i]! + position * aboveBytes
    const stateAt = (i: number, position: number) => pointers[count + 1 + i]! + position * keptBytes
    const gatesAt = (output: number, t: number, gate: number) =>
      pointers[inputs.length + output]! + (t * batch * gates + gate) * size * unit
    turn([pointers[count]!, turnedAt], noScalars)
    compiler.heap.u8.fill(0, carryAt, carryAt + bytesOf(raw))
    compiler.heap.u8.fill(0, besideAt, besideAt + bytesOf(raw))
    for (const { t, before, after } of order) {
      const read = [aboveAt(0, after), carryAt]
      if (cell === 'lstm') read.push(aboveAt(1, after), besideAt, stateAt(1, after), stateAt(1, before))
      else if (cell === 'gru') read.push(besideAt, stateAt(0, before))
      else read.push(stateAt(0, after))
      if (kept > 0) read.push(pointers[2 * count + 1]! + t * kept * keptBytes)
      for (let gate = 0; gate < gates; gate++) read.push(gatesAt(0, t, gate))
      if (cell === 'gru') for (let gate = 0; gate < gates; gate++) read.push(gatesAt(2, t, gate))
      if (kept > 0) read.push(besideAt)
      step(read, noScalars)
      product([gatesAt(0, t, 0), turnedAt, carryAt], noScalars)
    }
    const first = firstState(time, attrs)
    sums.forEach((sum, i) => {
      const carries = cell === 'gru' ? [carryAt, besideAt] : [i === 0 ? carryAt : besideAt]
      sum([aboveAt(i, first), ...carries, pointers[inputs.length + 1 + i]!], noScalars)
    })
  })
}

const noScalars: readonly number[] = []

/** The steps in the order in which they are read, with the positions of the states before and behind each. */
function stepsOf(time: number, { reverse }: RecurrentAttrs): { t: number; before: number; after: number }[] {
  const steps = Array.from({ length: time }, (_, t) => (reverse ? { t, before: t + 1, after: t } : { t, before: t, after: t + 1 }))
  return reverse ? steps.reverse() : steps
}

const firstState = (time: number, { reverse }: RecurrentAttrs): number => (reverse ? time : 0)

/** Writes an operand densely in a dtype. */
function copyKernel({ dtype, shape, strides }: Operand, to: Operand['dtype']): Kernel {
  const k = new KernelBuilder('copy', shape)
  k.output(to, k.load(k.input(dtype), strides))
  return k.build()
}
