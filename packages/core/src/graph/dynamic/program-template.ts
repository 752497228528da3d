import type { Engine } from '../../engine/engine.ts'
import type { Kernel } from '../../engine/kernel.ts'
import type { Spec } from '../../layout.ts'
import type { EffectOrigin, NumbersOrigin } from '../../tensor/modes.ts'
import { Scalar } from '../../tensor/scalar.ts'
import type { Storage } from '../../tensor/storage.ts'
import { Body, Flow } from '../control/flow.ts'
import { type Graph, type GraphNode, isLive, isRead, type LiveNumber, type Operand, type Read, type Source, type Value } from '../graph.ts'
import { constantsOf, recipeOf } from '../passes/constants.ts'
import type { Operation, Place, Program } from '../program.ts'
import { at, BySize, fitData, fitNumber, fitSpec, type Fitted, Misfit } from './size-fit.ts'

/** Makes something for one size. */
type Make<T> = (at: Instance) => T

/** A program as it follows from a size: several programs of one structure, whose numbers each follow a law. */
export class ProgramTemplate {
  readonly #base: Program
  readonly #graph: Make<Graph>
  readonly #operations: readonly Make<Operation>[]
  readonly #values: ReadonlyMap<Value, FittedValue>

  /**
   * @param programs Of the same function, at each of `sizes`.
   * @throws {Misfit}
   */
  constructor(programs: readonly Program[], sizes: readonly number[]) {
    const fitter = new Fitter(programs, sizes)
    this.#base = programs[0]!
    this.#graph = fitter.graph(programs.map(({ graph }) => graph))
    this.#operations = fitter.list(
      programs.map(({ operations }) => operations),
      (operations) => fitter.operation(operations),
    )
    this.#values = fitter.values
  }

  /** @throws {Misfit} Where a number comes out as none that it may be. */
  at(size: number): Program {
    const instance = new Instance(size, this.#values)
    return { ...this.#base, graph: this.#graph(instance), operations: this.#operations.map((make) => make(instance)) }
  }
}

interface FittedValue {
  readonly size: Fitted<number>
  /** For constants that depend on the size: what makes them. */
  readonly constant: FittedConstant | null
  /** Whether it, or what it is an update of, depends on the size. */
  readonly varies: boolean
}

interface FittedConstant {
  readonly engine: Engine
  readonly program: ProgramTemplate
  readonly output: number
}

/** One program in the making. */
class Instance {
  readonly size: number
  readonly #fitted: ReadonlyMap<Value, FittedValue>
  readonly #values = new Map<Value, Value>()
  readonly #programs = new Map<object, unknown>()
  readonly #scalars = new Map<Scalar, Scalar>()
  readonly #constants = new Map<ProgramTemplate, readonly Storage[]>()

  constructor(size: number, fitted: ReadonlyMap<Value, FittedValue>) {
    this.size = size
    this.#fitted = fitted
  }

  /** What stands for a value of the template's first program. */
  value(base: Value): Value {
    const { size, constant, varies } = this.#fitted.get(base)!
    if (!varies) return base
    let made = this.#values.get(base)
    if (!made) this.#values.set(base, (made = { ...base, size: this.count(size), source: this.#source(base.source, constant) }))
    return made
  }

  #source(source: Source, constant: FittedConstant | null): Source {
    if (source.kind === 'update') return { ...source, of: this.value(source.of) }
    return constant ? { kind: 'captured', storage: this.#constant(constant) } : source
  }

  #constant({ engine, program, output }: FittedConstant): Storage {
    let made = this.#constants.get(program)
    if (!made) this.#constants.set(program, (made = constantsOf(program.at(this.size), engine)))
    return made[output]!
  }

  scalar(base: Scalar, value: BySize<number>): Scalar {
    let made = this.#scalars.get(base)
    if (!made) this.#scalars.set(base, (made = new Scalar(value.at(this.size), base.spec.dtype)))
    return made
  }

  /** What stands for a program; ops that share one go on sharing it, by which passes know them. */
  program<T extends object>(fitted: BySize<T>): T {
    let made = this.#programs.get(fitted)
    if (!made) this.#programs.set(fitted, (made = fitted.at(this.size)))
    return made as T
  }

  /** A number of elements, or an offset. */
  count(fitted: Fitted<number>): number {
    const count = at(fitted, this.size)
    if (!(Number.isSafeInteger(count) && count >= 0)) throw new Misfit('numbers', `${count} elements`)
    return count
  }
}

/** Walks through programs of one structure side by side. */
class Fitter {
  readonly values = new Map<Value, FittedValue>()
  readonly #sizes: readonly number[]
  /** By value of the first program: those in its place. */
  readonly #twins = new Map<Value, readonly Value[]>()
  /** By program of the constants of the first program. */
  readonly #recipes = new Map<Program, ProgramTemplate>()
  /** By program of an op: those in its place, and how it follows from the size. */
  readonly #programs = new Map<object, { readonly twins: readonly object[]; readonly fitted: Fitted<object> }>()
  /** By program: the values that have a twin. */
  readonly #paired: readonly Set<Value>[]
  /** Memory from outside that the programs write. */
  readonly #written: ReadonlySet<Storage>

  constructor(programs: readonly Program[], sizes: readonly number[]) {
    this.#sizes = sizes
    this.#paired = sizes.map(() => new Set())
    this.#written = new Set(
      programs.flatMap(({ graph }) =>
        [...graph.writes.keys()].flatMap(({ source }) => (source.kind === 'captured' ? [source.storage] : [])),
      ),
    )
  }

  list<T, U>(lists: readonly (readonly T[])[], fit: (items: readonly T[]) => U): U[] {
    same(lists.map((list) => list.length))
    return lists[0]!.map((_, i) => fit(lists.map((list) => list[i]!)))
  }

  graph(graphs: readonly Graph[]): Make<Graph> {
    const [base] = graphs as readonly [Graph]
    const reads = (of: (graph: Graph) => readonly Read[]) => this.list(graphs.map(of), (items) => this.read(items))
    const inputs = reads((graph) => graph.inputs)
    const outputs = reads((graph) => graph.outputs)
    const nodes = this.list(
      graphs.map((graph) => graph.nodes),
      (items) => this.node(items),
    )
    const writes = this.list(
      graphs.map((graph) => [...graph.writes]),
      (items) => [this.value(items.map(([memory]) => memory)), this.value(items.map(([, value]) => value))] as const,
    )
    const gradients = this.list(
      graphs.map(({ gradients, arguments: given }) => [...gradients].map(([of, read]) => ({ of, at: given.indexOf(of), read }))),
      (items) => {
        same(items.map((item) => (item.at < 0 ? item.of : item.at)))
        same(items.map(({ read }) => read === null))
        return [items[0]!.of, items[0]!.read && this.read(items.map(({ read }) => read!))] as const
      },
    )
    this.list(
      graphs.map((graph) => graph.host),
      (steps) => {
        same(steps.map((step) => step.kind))
        same(steps.map((step) => ('count' in step ? step.count : 0)))
        same(steps.map((step) => subjectOf('origin' in step ? step.origin : undefined)))
      },
    )
    this.list(
      graphs.map((graph) => graph.guards),
      (guards) => same(guards.map(({ what }) => what)),
    )
    return (instance) => {
      let made: readonly GraphNode[] | undefined
      return {
        ...base,
        inputs: inputs.map((make) => make(instance)),
        outputs: outputs.map((make) => make(instance)),
        writes: new Map(writes.map(([memory, value]) => [memory(instance), value(instance)])),
        gradients: new Map(gradients.map(([of, make]) => [of, make && make(instance)])),
        // Only looked at by people, and when a backward half is made.
        get nodes() {
          return (made ??= nodes.map((make) => make(instance)))
        },
      }
    }
  }

  node(nodes: readonly GraphNode[]): Make<GraphNode> {
    const [base] = nodes as readonly [GraphNode]
    same(nodes.map(({ op }) => op.name))
    const inputs = this.list(
      nodes.map((node) => node.inputs),
      (items) => this.operand(items),
    )
    const outputs = this.list(
      nodes.map((node) => node.outputs),
      (items) => this.read(items),
    )
    const specs = (of: (node: GraphNode) => readonly Spec[]) => this.list(nodes.map(of), (items) => this.spec(items))
    const given = specs(({ plan }) => plan.inputs)
    const made = specs(({ plan }) => plan.outputs)
    const program = this.program(nodes.map(({ plan }) => plan.program!))
    return (instance) => {
      const at = <T>(make: Make<T>) => make(instance)
      const plan = {
        ...base.plan,
        inputs: given.map(at),
        outputs: made.map(at),
        program: program(instance),
        engine: null,
        executable: null,
      }
      return { ...base, inputs: inputs.map(at), outputs: outputs.map(at), plan }
    }
  }

  operation(originals: readonly Operation[]): Make<Operation> {
    const operations = withParams(originals)
    const [base] = operations as readonly [Operation]
    const places = (of: (operation: Operation) => readonly Place[]) => this.list(operations.map(of), (items) => this.place(items))
    const inputs = places((operation) => operation.inputs)
    const outputs = places((operation) => operation.outputs)
    const numbers = this.list(
      operations.map((operation) => operation.numbers),
      (items) => this.number(items),
    )
    const program = this.program(operations.map((operation) => operation.program))
    return (instance) => ({
      ...base,
      program: program(instance),
      inputs: inputs.map((make) => make(instance)),
      outputs: outputs.map((make) => make(instance)),
      numbers: numbers.map((make) => make(instance)),
    })
  }

  program<T extends object>(programs: readonly T[]): Make<T> {
    const [base] = programs as readonly [T]
    const known = this.#programs.get(base)
    const fit = () => (programs.every((x) => x instanceof Flow) ? (this.#flow(programs) as Fitted<T>) : fitData(programs, this.#sizes))
    const fitted = known?.twins.every((twin, i) => twin === programs[i]) ? (known.fitted as Fitted<T>) : fit()
    this.#programs.set(base, { twins: programs, fitted })
    return (instance) => (fitted instanceof BySize ? instance.program(fitted) : base)
  }

  /** Control flow: its data, and the programs that it runs. */
  #flow(flows: readonly Flow[]): Fitted<Flow> {
    const [base] = flows as readonly [Flow]
    same(flows.map(({ name }) => name))
    const data = fitData(
      flows.map((flow) => flow.data),
      this.#sizes,
    )
    const bodies = this.list(
      flows.map((flow) => flow.bodies),
      (items) =>
        new ProgramTemplate(
          items.map(({ program }) => program),
          this.#sizes,
        ),
    )
    return new BySize((size) =>
      base.with(
        at(data, size),
        bodies.map((body) => new Body(body.at(size))),
      ),
    )
  }

  operand(operands: readonly Operand[]): Make<Operand> {
    same(operands.map(isRead))
    return operands.every(isRead) ? this.read(operands) : this.number(operands as readonly (Scalar | LiveNumber)[])
  }

  number(numbers: readonly (Scalar | LiveNumber)[]): Make<Scalar | LiveNumber> {
    const [base] = numbers as readonly [Scalar | LiveNumber]
    same(numbers.map(({ spec }) => spec))
    same(numbers.map((x) => (isLive(x) ? `${x.lift} ${x.index}` : '')))
    if (isLive(base)) return () => base
    const value = fitNumber(
      numbers.map((x) => (x as Scalar).value),
      this.#sizes,
    )
    return (instance) => (value instanceof BySize ? instance.scalar(base, value) : base)
  }

  read(reads: readonly Read[]): Make<Read> {
    const place = this.place(reads)
    const spec = this.spec(reads.map((read) => read.spec))
    return (instance) => ({ ...place(instance), spec: spec(instance) })
  }

  place(places: readonly Place[]): Make<Place> {
    const value = this.value(places.map((place) => place.value))
    const offset = fitNumber(
      places.map((place) => place.offset),
      this.#sizes,
    )
    return (instance) => ({ value: value(instance), offset: instance.count(offset) })
  }

  spec(specs: readonly Spec[]): Make<Spec> {
    const fitted = fitSpec(specs, this.#sizes)
    return ({ size }) => at(fitted, size)
  }

  value(values: readonly Value[]): Make<Value> {
    const [base] = values as readonly [Value]
    const twins = this.#twins.get(base)
    if (twins) {
      if (twins.some((twin, i) => twin !== values[i])) throw new Misfit('structure', `value ${base.id} is used in another way`)
    } else {
      if (values.some((value, i) => this.#paired[i]!.has(value))) throw new Misfit('structure', `value ${base.id} stands for two`)
      this.#twins.set(base, values)
      values.forEach((value, i) => this.#paired[i]!.add(value))
      same(values.map(({ dtype }) => dtype))
      const size = fitNumber(
        values.map((value) => value.size),
        this.#sizes,
      )
      const of = this.#source(values)
      const constant = this.#constant(values)
      const varies = size instanceof BySize || constant !== null || (of !== null && this.values.get(of)!.varies)
      this.values.set(base, { size, constant, varies })
    }
    return (instance) => instance.value(base)
  }

  /** The value that they are updates of, in the first program. */
  #source(values: readonly Value[]): Value | null {
    const sources = values.map(({ source }) => source)
    same(sources.map(({ kind }) => kind))
    same(sources.map((source) => ('index' in source ? source.index : 0)))
    same(sources.map((source) => (source.kind === 'gradient' ? source.of : null)))
    const updated = sources.flatMap((source) => (source.kind === 'update' ? [source.of] : []))
    if (updated.length === 0) return null
    this.value(updated)
    return updated[0]!
  }

  /** Memory that each trace has made for itself is the same if its numbers are, or is made by one recipe; null where it is the same. */
  #constant(values: readonly Value[]): FittedConstant | null {
    const storages = values.flatMap(({ source }) => (source.kind === 'captured' ? [source.storage] : []))
    const [base] = storages
    if (!base || storages.every((storage) => storage === base)) return null
    if (storages.some((storage) => this.#written.has(storage))) throw new Misfit('structure', 'each trace has made memory that it writes')
    if (haveSameNumbers(storages, values)) return null
    const recipes = storages.flatMap((storage) => recipeOf(storage) ?? [])
    if (recipes.length < storages.length) throw new Misfit('structure', 'constants of other numbers')
    same(recipes.map(({ output }) => output))
    const { program, output } = recipes[0]!
    let fitted = this.#recipes.get(program)
    if (!fitted) {
      fitted = new ProgramTemplate(
        recipes.map((recipe) => recipe.program),
        this.#sizes,
      )
      this.#recipes.set(program, fitted)
    }
    return { engine: base.engine, program: fitted, output }
  }
}

function haveSameNumbers([first, ...others]: readonly Storage[], [{ dtype, size }, ...twins]: readonly Value[] | [Value]): boolean {
  const readable = (storage: Storage) => storage.engine.synchronous && !storage.released
  if (![first!, ...others].every(readable) || twins.some((twin) => twin.size !== size)) return false
  const numbers = (storage: Storage) => storage.engine.readSync(storage.buffer, dtype, 0, size)
  const expected = numbers(first!)
  return others.every((other) => numbers(other).every((x, i) => Object.is(x, expected[i])))
}

function same(things: readonly unknown[]): void {
  if (things.some((x) => x !== things[0])) throw new Misfit('structure', `${String(things[0])} is something else at another size`)
}

/** What numbers or effects of the host follow from. */
function subjectOf(origin: NumbersOrigin | EffectOrigin | undefined): object | string | undefined {
  switch (origin?.kind) {
    case 'random':
      return origin.generator
    case 'rule':
    case 'count':
      return origin.state
    case 'settle':
      return origin.skip
    case 'schedule':
      return origin.scheduler
    default:
      return origin?.kind
  }
}

/**
 * Factors in kernels that differ between the programs (1/n of a mean) become params, so that their code, which holds constants but
 * not params, is the same at all sizes.
 */
function withParams(operations: readonly Operation[]): readonly Operation[] {
  const codes = operations.map(codeOf)
  const [base] = codes
  if (!base || codes.some((code) => code?.nodes.length !== base.nodes.length)) return operations
  const differing = base.nodes.flatMap((node, id) => {
    if (node.op !== 'const' || (node.type !== 'float32' && node.type !== 'float64')) return []
    const values = codes.map((code) => code!.nodes[id]!).map((other) => (other.op === 'const' ? other.value : undefined))
    return values.some((value) => value !== node.value) && values.every((value) => typeof value === 'number') ? [id] : []
  })
  return differing.length === 0 ? operations : operations.map((operation) => liftConstants(operation, differing))
}

function codeOf({ program }: Operation): Kernel | undefined {
  return program.kind === 'kernel' ? program : program.kind === 'routine' ? program.epilogue : undefined
}

function liftConstants(operation: Operation, ids: readonly number[]): Operation {
  const code = codeOf(operation)!
  const constants = ids.map((id) => code.nodes[id] as { readonly type: 'float32' | 'float64'; readonly value: number })
  const lifted: Kernel = {
    ...code,
    params: [...code.params, ...constants.map(({ type }) => type)],
    nodes: code.nodes.map((node, id) => {
      const at = ids.indexOf(id)
      return at < 0 ? node : { op: 'param', type: constants[at]!.type, index: code.params.length + at }
    }),
  }
  const { program } = operation
  return {
    ...operation,
    program: program.kind === 'kernel' ? lifted : ({ ...program, epilogue: lifted } as Operation['program']),
    numbers: [...operation.numbers, ...constants.map(({ type, value }) => new Scalar(value, type))],
  }
}
