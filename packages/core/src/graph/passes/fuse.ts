import { elementLevels, type Kernel } from '../../engine/kernel.ts'
import { extentsOf, fuse, isElementwise, isKernel, type KernelOperation, sizeOf } from '../fusion.ts'
import type { Value } from '../graph.ts'
import type { Program } from '../program.ts'
import { type Strand, Weave } from '../weave.ts'

/** Nodes and operands of a kernel beyond which more fusion would cost more in registers than it saves in memory. */
const MOST_NODES = 160
const MOST_OPERANDS = 20
/** Cost, in additions an element, up to which a value is computed again rather than stored. */
const CHEAP = 6
/** Elements up to which a launch costs more than computing them a second time. */
const FEW = 2048
/** Rows this long are cut for threads, which they cannot be when their elements are written, too. */
const LONG_ROW = 8192
/** The same for sums across rows of memory, which go through it twice then. */
const LONG_COLUMN = 512

const costs: { readonly [op: string]: number } = {
  ...Object.fromEntries(['exp', 'expm1', 'log', 'log1p', 'sin', 'cos', 'tan', 'atan', 'tanh', 'pow', 'atan2'].map((op) => [op, 12])),
  ...Object.fromEntries(['div', 'sqrt', 'rem', 'gather', 'reduce'].map((op) => [op, 4])),
  ...Object.fromEntries(['const', 'param', 'index', 'load', 'cast'].map((op) => [op, 0])),
}

/** Arithmetic of one element, in additions. */
const costOf = ({ nodes }: Kernel): number => nodes.reduce((sum, { op }) => sum + (costs[op] ?? 1), 0)

/** Loads that bring in as much as the kernel has elements. */
function heavyLoads(kernel: Kernel): number {
  const extents = extentsOf(kernel)
  return kernel.nodes.filter((n) => n.op === 'gather' || (n.op === 'load' && n.strides.every((s, axis) => s !== 0 || extents[axis] === 1)))
    .length
}

/** Where nothing else needs what one kernel makes for another, both become one. Cheap values are computed again in each reader. */
export const fuseChains = (program: Program): Program => new Fuser(program).run('chains')

/** Kernels over the same space become one also where others need the first one's values: it writes them on the way. */
export const fuseNeighbours = (program: Program): Program => new Fuser(program).run('neighbours')

class Fuser {
  readonly #weave: Weave

  constructor(program: Program) {
    this.#weave = new Weave(program)
  }

  run(mode: 'chains' | 'neighbours'): Program {
    for (const strand of this.#weave.strands) {
      let reader: Strand | undefined = strand
      while (reader && this.#weave.has(reader)) reader = this.#absorb(reader, mode)
    }
    return this.#weave.program()
  }

  /** Fuses one operation that `reader` reads from into it. Returns what took the reader's place, if anything did. */
  #absorb(reader: Strand, mode: 'chains' | 'neighbours'): Strand | undefined {
    const { operation } = reader
    if (!isKernel(operation) || isEmpty(operation)) return undefined
    for (const { value } of operation.inputs) {
      const maker = this.#weave.makerOf(value)
      if (!maker || !isKernel(maker.operation) || isEmpty(maker.operation)) continue
      const fused = this.#fuse(maker, reader, mode)
      if (fused) return fused
    }
    return undefined
  }

  #fuse(maker: Strand, reader: Strand, mode: 'chains' | 'neighbours'): Strand | undefined {
    const first = maker.operation as KernelOperation
    const second = reader.operation as KernelOperation
    if (gathers(second, first) || !this.#weave.canReadAt(maker, reader)) return undefined
    const wantedElsewhere = first.outputs.map((o) => o.value).filter((v) => this.#isWantedBesides(v, reader))
    const alone = wantedElsewhere.length === 0
    if (!alone && isElementwise(first.program) && isCheapAgain(first, second) && this.#canVanish(first)) {
      const copy = fuse(first, second, new Set())
      if (copy && isSensible(copy)) return this.#weave.replace([reader], copy)
    }
    if (!alone && (mode === 'chains' || this.#weave.reachesIndirectly(maker, reader))) return undefined
    if (alone && this.#weave.reachesIndirectly(maker, reader)) return undefined
    if (alone && isElementwise(first.program) && isRepeated(first, second)) return undefined
    const fused = fuse(first, second, new Set(wantedElsewhere))
    return fused && isSensible(fused) ? this.#weave.replace([maker, reader], fused) : undefined
  }

  /** Whether nobody would be left who needs a value in memory, where it could as well be read. */
  #canVanish({ program, outputs }: KernelOperation): boolean {
    if (heavyLoads(program) === 0) return true
    return outputs.every(({ value }) => {
      if (this.#weave.isNeeded(value)) return false
      return [...this.#weave.readersOf(value)].every(({ operation }) => isKernel(operation))
    })
  }

  #isWantedBesides(value: Value, reader: Strand): boolean {
    if (this.#weave.isNeeded(value)) return true
    for (const other of this.#weave.readersOf(value)) if (other !== reader) return true
    return false
  }
}

const isEmpty = ({ program }: KernelOperation): boolean => extentsOf(program).includes(0)

/** Whether an operation reads another's results at places that only running tells. */
function gathers(second: KernelOperation, first: KernelOperation): boolean {
  return second.program.nodes.some((n) => n.op === 'gather' && first.outputs.some((o) => o.value === second.inputs[n.input]!.value))
}

function isCheapAgain(first: KernelOperation, second: KernelOperation): boolean {
  const cost = costOf(first.program)
  const [own, there] = [sizeOf(first.program.parallel), sizeOf(extentsOf(second.program))]
  if (heavyLoads(first.program) === 0 && cost <= CHEAP) return true
  if (own === 1 || Math.max(own, there) <= FEW) return cost <= 4 * CHEAP
  return heavyLoads(first.program) <= 1 && cost <= CHEAP && there <= own
}

/** Whether code would run many times over in its reader, which reads each value more than once. */
function isRepeated(first: KernelOperation, second: KernelOperation): boolean {
  const [own, there] = [sizeOf(first.program.parallel), sizeOf(extentsOf(second.program))]
  return own > 1 && there > own && there > FEW && costOf(first.program) > 2
}

/** Whether a fused kernel is one that engines run well. */
function isSensible({ program, inputs, outputs }: KernelOperation): boolean {
  if (program.nodes.length > MOST_NODES || inputs.length + outputs.length > MOST_OPERANDS) return false
  if (!program.nodes.some((n) => n.op === 'reduce')) return true
  const rank = program.parallel.length
  const level = elementLevels(program)
  const perElement = program.outputs.some(({ node, strides }) => level[node] || strides.some((s, axis) => axis >= rank && s !== 0))
  if (!perElement) return true
  const length = sizeOf(program.reduce)
  const last = extentsOf(program).length - 1
  const loads = program.nodes.filter((n, id) => n.op === 'load' && level[id])
  const acrossMemory = loads.some((n) => n.op === 'load' && Math.abs(n.strides[last]!) > 1)
  return length <= (acrossMemory ? LONG_COLUMN : LONG_ROW)
}
