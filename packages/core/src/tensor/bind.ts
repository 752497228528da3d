import { type Edge, type GradientRule, type Saved, save, TapeNode } from '../autograd/tape.ts'
import { isFloat } from '../dtype.ts'
import type { Buffer, Engine, Program, Sequence } from '../engine/engine.ts'
import { currentEngine } from '../engine/registry.ts'
import { CotangentError } from '../errors.ts'
import { sameShape, type Spec } from '../layout.ts'
import { changes } from './changes.ts'
import { modes } from './modes.ts'
import { type Plan, type Primitive, planOf, savesOf } from './primitive.ts'
import { Scalar } from './scalar.ts'
import { Storage } from './storage.ts'
import { Tensor } from './tensor.ts'

export type Input = Tensor | Scalar

/** How the door makes a view's input dense where the view needs it; the copy op plugs itself in. */
let makeDense: (x: Tensor) => Tensor

export function setMakeDense(copy: (x: Tensor) => Tensor): void {
  makeDense = copy
}

/**
 * The one door: every op on tensors goes through here. Eager mode runs it, a tracer records it, autograd tapes it.
 *
 * @param into Tensors whose memory receives the outputs (in place). They must be of the outputs' dtypes and shapes, and dense
 *   unless the op is a kernel.
 */
export function bind<A>(op: Primitive<A>, inputs: readonly Input[], attrs: A, into?: readonly Tensor[]): Tensor[] {
  const plan = planOf(op, inputs, attrs, into)
  if (!plan.program && !plan.views) return bind(op, [makeDense(inputs[0] as Tensor)], attrs)
  const outputs = modes.tracer ? modes.tracer.bind(op as Primitive<never>, inputs, attrs, plan, into) : run(op, plan, inputs, into)
  modes.anomaly?.results(op.name, inputs, outputs)
  if (modes.grad && op.gradient && inputs.some((x) => x instanceof Tensor && x.requiresGrad)) record(op, plan, inputs, attrs, outputs)
  return outputs
}

/** `bind` for ops with one output. */
export function bind1<A>(op: Primitive<A>, inputs: readonly Input[], attrs: A): Tensor {
  return bind(op, inputs, attrs)[0]!
}

const noScalars: number[] = []

/** Runs a planned op now, unrecorded. */
export function run<A>(op: Primitive<A>, plan: Plan, inputs: readonly Input[], into: readonly Tensor[] | undefined): Tensor[] {
  const { watcher } = modes
  return watcher && !plan.views ? watcher('op', op.name, () => execute(op, plan, inputs, into)) : execute(op, plan, inputs, into)
}

function execute<A>(op: Primitive<A>, plan: Plan, inputs: readonly Input[], into: readonly Tensor[] | undefined): Tensor[] {
  if (plan.views) {
    const x = inputs[0] as Tensor
    return plan.views.map(({ offset }, i) => new Tensor(plan.outputs[i]!, x.storage, x.offset + offset))
  }
  const engine = engineOf(op.name, into ? [...inputs, ...into] : inputs)
  if (plan.engine !== engine) {
    // Control flow is bound only while a program is recorded.
    plan.executable = engine.prepare(plan.program as Program | Sequence)
    plan.engine = engine
  }
  // Arrays of the right size from the start: one that grows by push takes room for 17 elements.
  const count = plan.outputs.length
  const params = plan.params
  const scalars = params === 0 ? noScalars : new Array<number>(params)
  const buffers = new Array<Buffer>(inputs.length - params + count)
  const offsets = new Array<number>(inputs.length - params + count)
  let at = 0
  let param = 0
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i]!
    if (input instanceof Scalar) scalars[param++] = input.value
    else {
      buffers[at] = input.storage.buffer
      offsets[at++] = input.offset
    }
  }
  const outputs = new Array<Tensor>(count)
  for (let i = 0; i < count; i++) {
    const spec = plan.outputs[i]!
    const target = into?.[i]
    if (target) checkTarget(op.name, target, spec)
    const output = target ?? new Tensor(spec, new Storage(engine, spec, op.name), 0)
    if (target) {
      target.storage.version++
      // It may come to require a gradient.
      changes.count++
    }
    outputs[i] = output
    buffers[at] = output.storage.buffer
    offsets[at++] = output.offset
  }
  plan.executable!.run(buffers, offsets, scalars)
  return outputs
}

/** Throws unless a result of `wanted` can be written where `target` lies. */
export function checkTarget(op: string, { spec: target }: Tensor, wanted: Spec): void {
  if (target.id === wanted.id) return
  if (target.contiguous && wanted.contiguous && target.dtype === wanted.dtype && sameShape(target.shape, wanted.shape)) return
  throw new CotangentError('invalid-argument', {
    op,
    message: `the result is ${wanted.dtype} [${wanted.shape}] and cannot be written into this tensor in place`,
    shapes: [target.shape],
    dtypes: [target.dtype],
    hint: 'Write into a dense tensor of the same dtype and shape.',
  })
}

function engineOf(op: string, inputs: readonly Input[]): Engine {
  let engine: Engine | undefined
  for (const input of inputs) {
    if (input instanceof Scalar) continue
    const own = input.storage.engine
    if (engine && own !== engine) {
      throw new CotangentError('invalid-argument', {
        op,
        message: `the inputs live on different engines, ${engine.name} and ${own.name}`,
        hint: `Copy one of them: setEngine('${engine.name}'), then tensor(x.dataSync(), { shape: x.shape }).`,
      })
    }
    engine = own
  }
  return engine ?? currentEngine()
}

function record<A>(op: Primitive<A>, plan: Plan, inputs: readonly Input[], attrs: A, outputs: readonly Tensor[]): void {
  if (!plan.outputs.some((o) => isFloat(o.dtype))) return
  const saves = savesOf(op, plan, attrs)
  const edges = new Array<Edge | null>(inputs.length)
  const saved = new Array<Saved | null>(inputs.length)
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i]!
    edges[i] = input instanceof Tensor && input.requiresGrad ? input.edge : null
    saved[i] = saves.inputs[i] ? save(input) : null
  }
  const node = new TapeNode(op.name, {
    rule: op.gradient as GradientRule,
    attrs,
    edges,
    inputSpecs: plan.inputs,
    outputSpecs: plan.outputs,
    inputs: saved,
    trace: modes.anomaly ? new Error().stack : undefined,
  })
  for (let index = 0; index < outputs.length; index++) {
    const output = outputs[index]!
    if (isFloat(output.dtype)) output.attach({ node, index })
  }
  // Only now, as what is saved of an output includes where its gradient comes from.
  if (saves.outputs.includes(true)) node.saveOutputs(outputs.map((o, i) => (saves.outputs[i] ? save(o) : null)))
}
