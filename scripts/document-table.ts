import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * Writes the docs of the op table into the declarations that are shipped, since editors show comments only: above the function `name` and
 * above the method `name` of a family's interface.
 * Source maps stay true.
 * @param core The folder of the core, of which `dist/op` is built.
 */
export async function documentTable(core: string): Promise<void> {
  const load = (file: string) => import(pathToFileURL(join(core, 'src', 'op', file)).href)
  await load('index.ts')
  const { table } = (await load('table.ts')) as { table: ReadonlyMap<string, { readonly doc: string }> }
  const folder = join(core, 'dist', 'op')
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.d.ts'))) {
    const path = join(folder, file)
    const map = JSON.parse(readFileSync(`${path}.map`, 'utf8')) as { mappings: string }
    const { text, mappings } = withDocs(readFileSync(path, 'utf8'), map.mappings, (name) => table.get(name)?.doc)
    writeFileSync(path, text)
    writeFileSync(`${path}.map`, JSON.stringify({ ...map, mappings }))
  }
}

/** Declarations and the mappings of their source map, with a line of comment above what has a doc and no comment yet. */
export function withDocs(text: string, mappings: string, docOf: (name: string) => string | undefined): { text: string; mappings: string } {
  const lines: string[] = []
  const mapped: string[] = []
  const mappingOf = mappings.split(';')
  let inMethods = false
  for (const [i, line] of text.split('\n').entries()) {
    if (/^export interface \w+Methods\b/.test(line)) inMethods = true
    else if (line.startsWith('}')) inMethods = false
    const name =
      /^export declare (?:const|function) (\w+)/.exec(line)?.[1] ?? (inMethods ? /^ {4}(\w+)\??[<(:]/.exec(line)?.[1] : undefined)
    const doc = name && docOf(name)
    if (doc && !lines.at(-1)?.endsWith('*/')) {
      lines.push(`${/^ */.exec(line)![0]}/** ${doc.replaceAll('*/', '*\\/')} */`)
      mapped.push('')
    }
    lines.push(line)
    mapped.push(mappingOf[i] ?? '')
  }
  return { text: lines.join('\n'), mappings: mapped.join(';') }
}
