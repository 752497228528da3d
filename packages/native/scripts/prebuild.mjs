// Makes the package that a release publishes for this platform: the addon with oneDNN and what oneDNN itself needs beside it.
//   node scripts/prebuild.mjs [FOLDER]      default prebuild/
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

// What every Linux has; the rest comes along.
const system = /^(linux-vdso|ld-linux.*|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+))\.so/

if (process.platform !== 'linux') {
  console.error(`prebuild.mjs knows how to bundle libraries on Linux only, this is ${process.platform}`)
  process.exit(1)
}

const { version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const platform = `${process.platform}-${process.arch}`
const folder = join(resolve(process.argv[2] ?? join(root, 'prebuild')), `native-${platform}`)
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

// The old kind of path, DT_RPATH, holds for the libraries of the libraries, too.
const output = join(folder, 'cotangent-native.node')
build({ force: true, output, flags: ['-Wl,--disable-new-dtags', '-Wl,-rpath,$ORIGIN', '-s'] })

const libraries = execFileSync('ldd', [output], { encoding: 'utf8' })
  .split('\n')
  .map((line) => /^\s*(\S+) => (\S+)/.exec(line))
  .filter((match) => match && !system.test(match[1]))
for (const [, name, file] of libraries) copyFileSync(realpathSync(file), join(folder, name))

const files = [basename(output), ...libraries.map(([, name]) => name)]
const manifest = {
  name: `@cotangent/native-${platform}`,
  version,
  description: `@cotangent/native for ${platform}: the addon and oneDNN`,
  license,
  os: [process.platform],
  cpu: [process.arch],
  files,
}
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
console.log(`${folder}: ${files.join(', ')}`)
