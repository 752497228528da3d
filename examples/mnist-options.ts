/** The command line of the MNIST example. */
import { parseArgs } from 'node:util'

const help = `Trains a convolutional network on MNIST.
  --epochs N       passes over the images (3)
  --limit N        train on the first N images only (60000)
  --seed N         the same seed gives the same run (1)
  --engine NAME    wasm or reference (wasm)
  --threads N      (all cores)
  --checkpoint F   where the model is kept (mnist.safetensors)
  --resume         go on from the checkpoint, also after Ctrl-C
  --predict PNG    say which digit a picture shows, by the checkpoint
  --json           print the result as JSON only`
const text = (value: string) => ({ type: 'string', default: value }) as const
const flag = { type: 'boolean', default: false } as const
const options = { epochs: text('3'), limit: text('60000'), seed: text('1'), engine: text('wasm'), threads: text('') }
export const { values: args } = parseArgs({
  options: { ...options, checkpoint: text('mnist.safetensors'), predict: text(''), resume: flag, json: flag, help: flag },
})
if (args.help) {
  console.log(help)
  process.exit()
}
/** Prints for people, not for programs. */
export const say = args.json ? () => {} : console.log
