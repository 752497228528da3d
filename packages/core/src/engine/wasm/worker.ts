/** Where the words of the control block lie, in 32-bit words from its start; contended words have a cache line each. */
export const controlLayout = {
  /** Bit 0: a launch is open; bits 1..8: workers inside it; the rest: number of the launch. */
  state: 0,
  /** Workers that sleep on `state`. */
  sleepers: 16,
  /** Next chunk to take. */
  next: 32,
  /** The main thread sleeps on `done` while `mainSleeps` is 1. */
  done: 48,
  mainSleeps: 49,
  /** Workers that have booted. */
  ready: 50,
  /** The command: module number, address and length of its bytes, function, tasks, tasks a chunk, chunks, count of arguments. */
  command: 64,
  /** 1 while an error waits for the main thread, its length in UTF-16 units, and its text. */
  error: 80,
  errorText: 96,
  errorUnits: 4096,
  /** Arguments, as float64. */
  args: 96 + 4096 / 2,
  maxArgs: 128,
  /** All words before those of the workers. */
  words: 96 + 4096 / 2 + 128 * 2,
  /** Words of one worker. */
  worker: { booted: 0, quit: 1, busy: 2, sleeping: 3, chunks: 4, words: 16 },
} as const

interface NodeGlobal {
  process: { getBuiltinModule(name: 'node:module'): { createRequire(from: string): (file: string) => Record<string, KernelFunction> } }
}

/** An export of an emitted module: `(begin, end, thread, ...args)`. */
export type KernelFunction = (...args: number[]) => unknown

export interface WorkerBoot {
  memory: WebAssembly.Memory
  /** Address of the control block. */
  control: number
  /** Word of the control block where this worker's own words start. */
  own: number
  thread: number
  spinMs: number
  layout: typeof controlLayout
}

/**
 * What a worker thread runs, until it is told to quit. Started from its source text, so that it needs no file of its own:
 * it refers to nothing outside and uses no syntax that compilers replace by helpers.
 *
 * A worker enters an open launch by counting itself in `state`, and leaves by counting itself out. The main thread closes
 * the launch when no chunk is left and waits only for those inside: a worker that sleeps, boots or compiles holds up nobody.
 */
export function workerMain(boot: WorkerBoot): void {
  const memory = boot.memory
  const layout = boot.layout
  const thread = boot.thread
  const quit = boot.own + layout.worker.quit
  const busy = boot.own + layout.worker.busy
  const sleeping = boot.own + layout.worker.sleeping
  const progress = boot.own + layout.worker.chunks
  const state = layout.state
  const command = layout.command
  const words = new Int32Array(memory.buffer, boot.control, boot.own + layout.worker.words)
  const args = new Float64Array(memory.buffer, boot.control + layout.args * 4, layout.maxArgs)
  const text = new Uint16Array(memory.buffer, boot.control + layout.errorText * 4, layout.errorUnits)
  // The functions of each module met so far, or the reason why it has none.
  const modules = new Map<number, KernelFunction[] | Error>()
  const pause = (Atomics as { pause?: () => void }).pause || (() => {})
  /** The launch that it was in last, and `state` as it was when there was another one. */
  let launch = -1
  let seen = 0

  // Methods and not functions: compilers that keep names wrap functions in calls of a helper that is not here.
  const does = {
    instantiate(bytes: Uint8Array<ArrayBuffer>): KernelFunction[] {
      // Modules start with a zero. What does not is the name of a function and the file of the Node addon that has it.
      if (bytes[0] !== 0) {
        const [name, file] = new TextDecoder().decode(bytes).split('\n') as [string, string]
        const { createRequire } = (globalThis as unknown as NodeGlobal).process.getBuiltinModule('node:module')
        return [createRequire(file)(file)[name]!]
      }
      const module = new WebAssembly.Module(bytes)
      const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {}
      for (const wanted of WebAssembly.Module.imports(module)) {
        const space = imports[wanted.module] || (imports[wanted.module] = {})
        space[wanted.name] = wanted.kind === 'memory' ? memory : (Math as unknown as Record<string, () => number>)[wanted.name]!
      }
      const exported = new WebAssembly.Instance(module, imports).exports
      return WebAssembly.Module.exports(module).map((e) => exported[e.name] as KernelFunction)
    },

    /** Copies the bytes of the launch's module, leaves the launch, since compiling takes long, and makes its functions. */
    learn(id: number): void {
      const address = words[command + 1]! >>> 0
      const length = words[command + 2]!
      if (address + length > memory.buffer.byteLength) memory.grow(0)
      const bytes = new Uint8Array(length)
      bytes.set(new Uint8Array(memory.buffer, address, length))
      does.leave()
      try {
        modules.set(id, does.instantiate(bytes))
      } catch (error) {
        modules.set(id, error as Error)
      }
    },

    /** Waits until a launch is open that it was not in; false if it has to quit instead. */
    awaitLaunch(): boolean {
      let spins = 0
      let deadline = 0
      let now = Atomics.load(words, state)
      while ((now & 1) === 0 || now >>> 9 === launch) {
        pause()
        if ((++spins & 63) === 0) {
          if (Atomics.load(words, quit) === 1) return false
          const time = performance.now()
          if (deadline === 0) deadline = time + boot.spinMs
          else if (time > deadline) {
            does.sleep(now)
            deadline = 0
          }
        }
        now = Atomics.load(words, state)
      }
      seen = now
      return true
    },

    sleep(before: number): void {
      Atomics.store(words, sleeping, 1)
      Atomics.add(words, layout.sleepers, 1)
      // A quit that came before this line has changed `state`, so the wait returns at once.
      Atomics.wait(words, state, before)
      Atomics.sub(words, layout.sleepers, 1)
      Atomics.store(words, sleeping, 0)
    },

    /** Counts itself in; false if `state` has changed meanwhile. */
    enter(): boolean {
      Atomics.store(words, busy, 1)
      if (Atomics.compareExchange(words, state, seen, seen + 2) === seen) return true
      Atomics.store(words, busy, 0)
      return false
    },

    run(functions: readonly KernelFunction[] | Error): void {
      try {
        if (functions instanceof Error) throw functions
        does.takeChunks(functions[words[command + 3]!]!)
      } catch (error) {
        does.report(error)
      }
    },

    takeChunks(fn: KernelFunction): void {
      const tasks = words[command + 4]!
      const step = words[command + 5]!
      const chunks = words[command + 6]!
      const count = words[command + 7]!
      const call: number[] = [0, 0, thread]
      for (let i = 0; i < count; i++) call.push(args[i]!)
      for (let i = Atomics.add(words, layout.next, 1); i < chunks; i = Atomics.add(words, layout.next, 1)) {
        call[0] = i * step
        call[1] = Math.min(call[0] + step, tasks)
        fn.apply(undefined, call)
        words[progress]!++
      }
    },

    report(error: unknown): void {
      if (Atomics.compareExchange(words, layout.error, 0, 1) === 0) {
        const message = String((error && (error as Error).stack) || error)
        const length = Math.min(message.length, layout.errorUnits)
        for (let i = 0; i < length; i++) text[i] = message.charCodeAt(i)
        words[layout.error + 1] = length
      }
      // Nobody starts another chunk of a launch that has failed.
      Atomics.store(words, layout.next, 1 << 30)
    },

    leave(): void {
      const now = Atomics.sub(words, state, 2) - 2
      Atomics.store(words, busy, 0)
      if ((now & 0x1ff) === 0 && Atomics.load(words, layout.mainSleeps) === 1) {
        Atomics.add(words, layout.done, 1)
        Atomics.notify(words, layout.done)
      }
    },
  }

  Atomics.store(words, boot.own + layout.worker.booted, 1)
  Atomics.add(words, layout.ready, 1)
  while (does.awaitLaunch()) {
    if (!does.enter()) continue
    if (Atomics.load(words, quit) === 1) {
      does.leave()
      return
    }
    const id = words[command]!
    const known = modules.get(id)
    if (known === undefined) {
      // It enters again if the launch is still open then.
      does.learn(id)
      continue
    }
    does.run(known)
    launch = seen >>> 9
    does.leave()
  }
}
