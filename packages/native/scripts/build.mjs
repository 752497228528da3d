// Compiles the addon with one call of the C++ compiler. Plain JavaScript: it runs where the package is installed.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const sources = join(root, 'cpp')
export const binary = join(root, 'build', 'cotangent-native.node')

const remedy = {
  linux: "apt install g++ libdnnl-dev (or your distribution's oneDNN)",
  darwin: 'xcode-select --install; brew install onednn',
}

/**
 * Builds the addon unless it is newer than its sources; what stops it is an error of one line. `COTANGENT_NATIVE_CXXFLAGS` goes to the compiler as it is.
 * @param {{ force?: boolean, oneDnn?: string, output?: string, flags?: string[] }} options
 *   `oneDnn` is a folder with `include` and `lib`, default `ONEDNN_ROOT`, else where the package managers put it.
 */
export function build({ force = false, oneDnn = process.env.ONEDNN_ROOT, output = binary, flags = [] } = {}) {
  if (!(process.platform in remedy)) throw new Error(`there is no build for ${process.platform} yet`)
  const files = readdirSync(sources).map((name) => join(sources, name))
  const newest = Math.max(...files.map((file) => statSync(file).mtimeMs))
  if (!force && existsSync(output) && statSync(output).mtimeMs > newest) return { output, built: false }
  const compiler = process.env.CXX || 'c++'
  const prefix = oneDnn || homebrew()
  const temporary = `${output.replace(/\.node$/, '')}.${process.pid}.node`
  mkdirSync(dirname(output), { recursive: true })
  const platform = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : ['-Wl,-z,nodelete', '-ldl']
  const include = [createRequire(import.meta.url)('node-api-headers').include_dir, ...(prefix ? [join(prefix, 'include')] : [])]
  const own = process.env.COTANGENT_NATIVE_CXXFLAGS?.split(' ').filter(Boolean) ?? []
  const args = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-shared', '-fPIC', '-fvisibility=hidden', '-o', temporary]
  args.push(...include.map((folder) => `-I${folder}`), ...flags, ...own, ...files.filter((file) => file.endsWith('.cc')), ...platform)
  if (prefix) args.push(`-L${join(prefix, 'lib')}`, `-Wl,-rpath,${join(prefix, 'lib')}`)
  args.push('-ldnnl')
  try {
    execFileSync(compiler, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
    // In a process of its own: a library that does not fit this machine may do worse than throw.
    execFileSync(process.execPath, ['-e', 'require(process.argv[1]).info()', temporary], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    })
    renameSync(temporary, output)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw new Error(problemOf(error, compiler), { cause: error })
  }
  return { output, built: true }
}

function problemOf(error, compiler) {
  const install = `install it with: ${remedy[process.platform]}`
  if (error.code === 'ENOENT') return `there is no C++ compiler (${compiler}); ${install}`
  const text = String(error.stderr || error.message)
  if (/dnnl\.hpp|-l ?dnnl|'dnnl'/.test(text)) return `oneDNN is not installed; ${install}`
  return text.split('\n').find((line) => /error/i.test(line)) ?? text.split('\n', 1)[0]
}

function homebrew() {
  if (process.platform !== 'darwin') return undefined
  return ['/opt/homebrew/opt/onednn', '/usr/local/opt/onednn'].find((folder) => existsSync(join(folder, 'include', 'dnnl.hpp')))
}
