import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { CotangentError } from 'cotangent'
import { startBoard } from './board/server.ts'
import { describe, diagnose } from './doctor.ts'
import { openBrowser } from './open-browser.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** Where a command writes, and what ends it. */
interface Terminal {
  out: (text: string) => void
  error: (text: string) => void
  /** Aborts when the user wants a command to end that would go on for ever. */
  stop: AbortSignal
}

/** Runs the command line `cotangent ...args`. Returns the exit status: 0, or 1 after an error, which it has printed. */
export async function run(args: readonly string[], terminal: Terminal = ownTerminal()): Promise<number> {
  const program = commands(terminal)
  try {
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    // Commander has printed what it threw.
    if (error instanceof CommanderError) return error.exitCode
    if (!(error instanceof CotangentError)) throw error
    terminal.error(`error: ${error.message}\n`)
    return 1
  }
}

function commands({ out, error, stop }: Terminal): Command {
  const program = new Command('cotangent')
    .description('Deep learning for TypeScript: watch training runs, and see what this machine can do.')
    .version(version)
    .exitOverride()
    .configureOutput({ writeOut: out, writeErr: error })
    .showHelpAfterError('(add --help for what there is)')
    .showSuggestionAfterError()

  program
    .command('board')
    .description('show the runs under a folder (TensorBoard event files) as a web page, live')
    .argument('<dir>', 'the folder; each folder in it that holds event files is a run')
    .option('-p, --port <number>', 'port to listen on; 0 takes any that is free', port, 6006)
    .option('--host <address>', 'address to listen on; 0.0.0.0 lets other machines in, without a password', '127.0.0.1')
    .option('--allow-host <names...>', 'further names by which browsers may call the board, e.g. that of a proxy')
    .option('--open', 'open it in the browser')
    .addHelpText('after', '\nExamples:\n  $ cotangent board runs\n  $ cotangent board runs --port 0 --open')
    .action(async (folder: string, options: { port: number; host: string; allowHost?: string[]; open?: boolean }) => {
      const board = await startBoard({ folder, port: options.port, host: options.host, allowHosts: options.allowHost ?? [] })
      out(`${board.store.runs.size} runs in ${board.store.root}\n${board.url}\nCtrl+C ends it.\n`)
      if (options.open) openBrowser(board.url)
      await new Promise<void>((resolve) => (stop.aborted ? resolve() : stop.addEventListener('abort', () => resolve())))
      await board.close()
    })

  program
    .command('doctor')
    .description('say what this machine has for computing, what Cotangent makes of it, and why not more')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const diagnosis = await diagnose()
      out(json ? `${JSON.stringify(diagnosis, undefined, 2)}\n` : describe(diagnosis, version))
    })
  return program
}

function port(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 65535) throw new InvalidArgumentError('A port is a whole number from 0 to 65535.')
  return value
}

function ownTerminal(): Terminal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  return { out: (text) => void process.stdout.write(text), error: (text) => void process.stderr.write(text), stop: stop.signal }
}
