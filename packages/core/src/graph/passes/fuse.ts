import { elementLevels, type Kernel } from '../../engine/kernel.ts'
import { productNames } from '../../engine/routine.ts'
import { workOfNode } from '../../engine/scalar.ts'
import { isLong } from '../../engine/stages.ts'
import { sizeOf } from '../../layout.ts'
import { extentsOf, fuse, isElementwise, isKernel, type KernelOperation } from '../fusion.ts'
import type { Value } from '../graph.ts'
import type { Note, Program } from '../program.ts'
import { type Strand, Weave } from '../weave.ts'

/** Nodes and operands of a kernel beyond which more fusion would cost more in registers than it saves in memory. */
const MOST_NODES = 160
const MOST_OPERANDS = 20
/** Work, in additions an element, up to which a value is computed again rather than stored. */
const CHEAP = 6
/** Elements up to which a launch costs more than computing them a second time. */
const FEW = 2048

/** Arithmetic of one element, in additions. */
const workOf = ({ nodes }: Kernel): number => nodes.reduce((sum, node) => sum + workOfNode(node), 0)

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
  /** For each operation, why it could not be fused with those that it reads from. */
  readonly #refused = new Map<Strand, Map<Strand, string>>()

  constructor(program: Program) {
    this.#weave = new Weave(program)
  }

  run(mode: 'chains' | 'neighbours'): Program {
    for (const strand of this.#weave.strands) {
      let reader: Strand | undefined = strand
      while (reader && this.#weave.has(reader)) reader = this.#absorb(reader, mode)
    }
    const program = this.#weave.program()
    return mode === 'neighbours' ? { ...program, notes: this.#notes() } : program
  }

  #notes(): Note[] {
    return [...this.#refused].flatMap(([reader, makers]) =>
      [...makers].flatMap(([maker, reason]) =>
        this.#weave.has(reader) && this.#weave.has(maker) ? [{ origin: reader.operation.origins.at(-1)!, reason }] : [],
      ),
    )
  }

  /** Fuses one operation that `reader` reads from into it. Returns what took the reader's place, if anything did. */
  #absorb(reader: Strand, mode: 'chains' | 'neighbours'): Strand | undefined {
    const { operation } = reader
    if (!isKernel(operation) || isEmpty(operation)) return undefined
    for (const { value } of operation.inputs) {
      const maker = this.#weave.makerOf(value)
      if (!maker || !isKernel(maker.operation) || isEmpty(maker.operation)) continue
      const fused = this.#fuse(maker, reader, mode)
      if (typeof fused !== 'string') return fused
      if (!this.#refused.has(reader)) this.#refused.set(reader, new Map())
      this.#refused.get(reader)!.set(maker, `${maker.operation.program.name}: ${fused}`)
    }
    return undefined
  }

  /** Returns the fused operation, or why there is none. */
  #fuse(maker: Strand, reader: Strand, mode: 'chains' | 'neighbours'): Strand | string {
    const first = maker.operation as KernelOperation
    const second = reader.operation as KernelOperation
    if (gathers(second, first)) return 'its results are read at places that only running tells'
    if (!this.#weave.canReadAt(maker, reader)) return 'what it reads is overwritten before'
    const wantedElsewhere = first.outputs.map((o) => o.value).filter((v) => this.#isWantedBesides(v, reader))
    const alone = wantedElsewhere.length === 0
    if (!alone && isElementwise(first.program) && isCheapAgain(first, second) && this.#canVanish(first)) {
      const copy = fuse(first, second, new Set())
      if (copy && !objection(copy)) return this.#weave.replace([reader], copy)
    }
    if (!alone && mode === 'chains') return 'others need its results'
    if (this.#weave.reachesIndirectly(maker, reader)) return 'an operation in between needs its results first'
    if (alone && isElementwise(first.program) && isRepeated(first, second)) return 'it would be computed many times over'
    if (mode === 'chains' && this.#followsProduct(first) && this.#followsProduct(second)) return 'each can follow a product of its own'
    const fused = fuse(first, second, new Set(wantedElsewhere))
    if (!fused) return 'the two have no index space in common'
    return objection(fused) ?? this.#weave.replace([maker, reader], fused)
  }

  /** Whether nobody would be left who needs a value in memory, where it could as well be read. */
  #canVanish({ program, inputs, outputs }: KernelOperation): boolean {
    if (heavyLoads(program) === 0) return true
    if (inputs.some(({ value }) => this.#isRawProduct(value))) return false
    return outputs.every(({ value }) => {
      if (this.#weave.isNeeded(value)) return false
      return [...this.#weave.readersOf(value)].every(({ operation }) => isKernel(operation))
    })
  }

  /** Sums of many products are then made one after the other in one place, rather than of all of them at the end. */
  #followsProduct({ program, inputs }: KernelOperation): boolean {
    return isElementwise(program) && inputs.some(({ value }) => this.#isRawProduct(value))
  }

  /** Whether a value is a product's that only one operation reads, which may become its epilogue: then nobody need store it. */
  #isRawProduct(value: Value): boolean {
    const program = this.#weave.makerOf(value)?.operation.program
    if (program?.kind !== 'routine' || !productNames.has(program.name)) return false
    return !this.#weave.isNeeded(value) && this.#weave.readersOf(value).size === 1
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
  const cost = workOf(first.program)
  const [own, there] = [sizeOf(first.program.parallel), sizeOf(extentsOf(second.program))]
  if (heavyLoads(first.program) === 0 && cost <= CHEAP) return true
  if (own === 1 || Math.max(own, there) <= FEW) return cost <= 4 * CHEAP
  return heavyLoads(first.program) <= 1 && cost <= CHEAP && there <= own
}

/** Whether code would run many times over in its reader, which reads each value more than once. */
function isRepeated(first: KernelOperation, second: KernelOperation): boolean {
  const [own, there] = [sizeOf(first.program.parallel), sizeOf(extentsOf(second.program))]
  return own > 1 && there > own && there > FEW && workOf(first.program) > 2
}

/** Why a fused kernel would not run well, if so. */
function objection({ program, inputs, outputs }: KernelOperation): string | undefined {
  if (program.nodes.length > MOST_NODES) return `the code would be ${program.nodes.length} instructions long`
  const operands = inputs.length + outputs.length
  if (operands > MOST_OPERANDS) return `it would read and write ${operands} tensors at once`
  if (!program.nodes.some((n) => n.op === 'reduce')) return undefined
  const rank = program.parallel.length
  const level = elementLevels(program)
  const perElement = program.outputs.some(({ node, strides }) => level[node] || strides.some((s, axis) => axis >= rank && s !== 0))
  if (!perElement) return undefined
  if (!isLong(program)) return undefined
  return `reductions over ${sizeOf(program.reduce)} elements are faster when nothing is written on the way`
}
