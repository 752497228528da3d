// Checks every import of the repository against the table in import-rules.ts, and that no modules load one another in a circle.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { checkImports, packageOf } from './import-rules.ts'

const root = join(import.meta.dirname, '..')
const roots = ['packages', 'examples', 'scripts', 'test']
const skipped = /(^|\/)(node_modules|dist)\//

const paths = roots
  .filter((folder) => existsSync(join(root, folder)))
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)))
  .map((path) => path.split(sep).join('/'))
  .filter((path) => /\.tsx?$/.test(path) && !skipped.test(path))

const dependencies = new Map<string, string[]>()
for (const folder of new Set(['', ...paths.map(packageOf)])) {
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Record<string, Record<string, string>>
  const fields = ['dependencies', 'peerDependencies', 'optionalDependencies', ...(folder ? [] : ['devDependencies'])]
  dependencies.set(
    folder,
    [...fields, 'imports'].flatMap((field) => Object.keys(manifest[field] ?? {})),
  )
  dependencies.set(`${folder}/ui`, Object.keys(manifest['devDependencies'] ?? {}))
}

const problems = checkImports({ files: new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')])), dependencies })
for (const problem of problems) console.error(problem)
console.log(`imports of ${paths.length} files checked, ${problems.length} problem${problems.length === 1 ? '' : 's'}`)
process.exitCode = problems.length ? 1 : 0
