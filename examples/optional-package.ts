import { createRequire } from 'node:module'
import { join } from 'node:path'

/**
 * What a package exports that is too large to come with this repository: it is looked for next to the program, and in the folder
 * that `COTANGENT_PEERS` names.
 */
export function optionalPackage<T>(name: string): T {
  for (const folder of [process.cwd(), process.env.COTANGENT_PEERS]) {
    if (!folder) continue
    const require = createRequire(join(folder, 'package.json'))
    try {
      require.resolve(name)
    } catch {
      // Not here: the next place, or the error below.
      continue
    }
    return require(name) as T
  }
  throw new Error(`${name} is not installed: \`npm install --no-save ${name}\`, or install it in a folder and name that in COTANGENT_PEERS`)
}
