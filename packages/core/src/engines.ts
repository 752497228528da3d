import { type HostOptions, hostOptions } from '#host'
import * as autotuning from './engine/autotune.ts'
import type { Engine } from './engine/engine.ts'
import { ReferenceEngine } from './engine/reference/engine.ts'
import * as registry from './engine/registry.ts'
import * as backends from './engine/routine-backend.ts'
import { attachBackends } from './engine/wasm/backend-launch.ts'
import { WasmEngine } from './engine/wasm/engine.ts'
import { tunedBy } from './engine/wasm/tuner.ts'
import { notice } from './notice.ts'
import { plainRoutine } from './routines.ts'

/** What the program has asked for, and the host does not add by itself. What nobody asks for is left out of bundles. */
const asked: { -readonly [K in keyof HostOptions]: HostOptions[K] } = {}

registry.registerEngine(
  'wasm',
  () =>
    new WasmEngine({
      fallback: plainRoutine,
      notice,
      ...(asked.backends && { backends: asked.backends }),
      tuning: (heap, pool) => asked.tuning?.(heap, pool),
      ...hostOptions(notice),
    }),
)

/** Makes a backend known to engines that start from now on. The first one that takes a routine computes it. */
export function registerRoutineBackend(backend: backends.RoutineBackend): void {
  backends.registerRoutineBackend(backend)
  asked.backends = attachBackends(backends.routineBackends())
}

/**
 * Whether engines choose the way in which they compute a matrix product, a convolution or the like by measuring, once for each shape,
 * dtype, layout and number of threads, instead of by rules; off by default. The idea is that of `torch.backends.cudnn.benchmark`:
 * the first use of a shape takes longer (a tenth of a second, more for what is large), later ones run in the fastest way that was
 * found. What was found is remembered, in Node also on the disk (docs/native.md says where), so that it is measured once a machine.
 *
 * It holds for programs that are made ready from now on, so set it before the first tensor; the environment's `COTANGENT_AUTOTUNE=1`
 * does. Ways differ in the order of their sums: results may differ in rounding from one process to the next. Where runs have to be
 * equal bit by bit, leave it off. Shapes that keep changing are better off without, too.
 */
export function setAutotune(on: boolean): void {
  asked.tuning ??= tunedBy(new Map<string, string>())
  autotuning.setAutotune(on)
}

/**
 * The reference engine is known to whoever names engines. Those that don't name any run on the default one, so bundlers leave the other out.
 */
function registerReference(): void {
  if (!registry.engineNames().includes('reference')) registry.registerEngine('reference', () => new ReferenceEngine())
}

/** The engines there are; `registerEngine` adds to them. */
export function engineNames(): string[] {
  registerReference()
  return registry.engineNames()
}

/** The engine of that name, started if need be. */
export function engineNamed(name: string): Engine {
  registerReference()
  return registry.engineNamed(name)
}

/** Chooses the engine for tensors made from now on; existing tensors stay where they are. */
export function setEngine(name: string): Engine {
  registerReference()
  return registry.setEngine(name)
}
