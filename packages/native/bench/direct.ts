// Ours against oneDNN called from C++, in turns: npx tsx --conditions=source packages/native/bench/direct.ts [THREADS] [FILTER]
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { currentEngine, type Operand, type Routine, setThreads } from 'cotangent'
import { nativeBackend } from '../src/index.ts'

interface Case {
  readonly line: string
  readonly routine: Routine
}

const dense = (dtype: Operand['dtype'], shape: readonly number[]): Operand => ({
  dtype,
  shape,
  strides: shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1)),
})

const types = { f32: 'float32', bf16: 'bfloat16', s8: 'int8', u8: 'uint8' } as const
const resultOf = { f32: 'float32', bf16: 'float32', s8: 'int32', u8: 'int32' } as const
const weightsOf = { ...types, u8: 'int8' } as const
const bytesOf = { float32: 4, int32: 4, bfloat16: 2, int8: 1, uint8: 1 } as const

function matmul(type: keyof typeof types, n: number): Case {
  const inputs = [dense(types[type], [n, n]), dense(weightsOf[type], [n, n])]
  return {
    line: `matmul ${type} ${n} ${n} ${n}`,
    routine: { kind: 'routine', name: 'matmul', attrs: {}, inputs, outputs: [dense(resultOf[type], [n, n])] },
  }
}

function conv(
  name: 'conv' | 'convGradInput' | 'convGradWeight',
  [size, from, to, kernel, stride]: readonly number[],
  type: keyof typeof types = 'f32',
): Case {
  const batch = 16
  const padding = kernel! >> 1
  const out = Math.floor((size! + 2 * padding - kernel!) / stride!) + 1
  const both = <T>(value: T) => [value, value]
  const x = dense(types[type], [batch, size!, size!, from!])
  const y = dense(resultOf[type], [batch, out, out, to!])
  const w = dense(weightsOf[type], [kernel!, kernel!, from!, to!])
  const [first, second, result] = { conv: [x, w, y], convGradInput: [y, w, x], convGradWeight: [x, y, w] }[name] as [
    Operand,
    Operand,
    Operand,
  ]
  return {
    line: `${name} ${type} ${batch} ${size} ${from} ${to} ${kernel} ${stride}`,
    routine: {
      kind: 'routine',
      name,
      attrs: {
        kernel: both(kernel!),
        stride: both(stride!),
        padding: both([padding, padding] as const),
        dilation: both(1),
        groups: 1,
      },
      inputs: [first, second],
      outputs: [result],
    } as Routine,
  }
}

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
]

const cases = [
  ...[256, 512, 1024, 2048].flatMap((n) => (['f32', 'bf16', 's8', 'u8'] as const).map((type) => matmul(type, n))),
  ...(['conv', 'convGradInput', 'convGradWeight'] as const).flatMap((name) => resnet.map((shape) => conv(name, shape))),
  ...(['s8', 'u8'] as const).flatMap((type) => resnet.map((shape) => conv('conv', shape, type))),
]

nativeBackend()
const threads = Number(process.argv[2] ?? 2)
const folder = mkdtempSync(join(tmpdir(), 'direct-'))
const program = join(folder, 'direct')
execFileSync(process.env.CXX ?? 'c++', ['-std=c++17', '-O2', '-fopenmp', join(import.meta.dirname, 'direct.cc'), '-o', program, '-ldnnl'], {
  stdio: 'inherit',
})
// The same rest for idle threads as ours have.
const child = spawn(program, [String(threads)], { env: { ...process.env, GOMP_SPINCOUNT: '5000' }, stdio: ['pipe', 'pipe', 'inherit'] })
const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
const engine = currentEngine()
await setThreads(threads)

/** Seconds of the fastest run. */
function fastest(run: () => void): number {
  let best = Infinity
  const start = performance.now()
  for (let i = 0; i < 3 || performance.now() - start < 150; i++) {
    const begin = performance.now()
    run()
    best = Math.min(best, performance.now() - begin)
  }
  return best / 1e3
}

const ratios: number[] = []
for (const { line, routine } of cases.filter((c) => c.line.includes(process.argv[3] ?? ''))) {
  const operands = [...routine.inputs, ...routine.outputs]
  const buffers = operands.map(({ dtype, shape }) =>
    engine.allocate(shape.reduce((a, b) => a * b, 1) * bytesOf[dtype as keyof typeof bytesOf]),
  )
  buffers.forEach((buffer) => engine.write(buffer, 'uint8', 0, new Uint8Array(buffer.bytes)))
  const executable = engine.prepare(routine)
  const zeros = operands.map(() => 0)
  const times = { ours: [] as number[], direct: [] as number[] }
  for (let round = 0; round < 5; round++) {
    times.ours.push(fastest(() => executable.run(buffers, zeros, [])))
    child.stdin.write(`${line}\n`)
    times.direct.push(Number((await answers.next()).value))
  }
  const [own, direct] = [times.ours, times.direct].map((list) => list.sort((a, b) => a - b)[1]!) as [number, number]
  ratios.push(direct / own)
  console.log(
    `${line.padEnd(48)} ours ${(own * 1e6).toFixed(0).padStart(8)} us  direct ${(direct * 1e6).toFixed(0).padStart(8)} us  ${(direct / own).toFixed(2)}`,
  )
  buffers.forEach((buffer) => engine.free(buffer))
}
ratios.sort((a, b) => a - b)
console.log(`median ${ratios[ratios.length >> 1]?.toFixed(2)}, least ${ratios[0]?.toFixed(2)}`)
child.kill()
rmSync(folder, { recursive: true })
