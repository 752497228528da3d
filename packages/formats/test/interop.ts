/**
 * The program or Python that an environment variable names, for tests with the real other side. Without it they skip themselves and say so,
 * except where `COTANGENT_INTEROP=required` is set, as in CI: there it is an error.
 */
export function interopProgram(variable: string, what: string): string | undefined {
  const path = process.env[variable]
  if (path) return path
  const problem = `interop with ${what} is skipped: set ${variable}`
  if (process.env['COTANGENT_INTEROP'] === 'required') throw new Error(problem)
  process.emitWarning(problem)
  return undefined
}
