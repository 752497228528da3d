// Runs when the package is installed. Builds the addon where that is possible; it never fails an install.
const gains = 'matrix products and convolutions run two to four times as fast with it; everything works without'

try {
  const { build, BuildProblem } = await import('./build.mjs')
  try {
    const { built } = build({ force: process.env.npm_command === 'rebuild' })
    console.log(`@cotangent/native: ${built ? 'built' : 'is up to date'}`)
  } catch (error) {
    if (!(error instanceof BuildProblem)) throw error
    console.log(`@cotangent/native: not built, ${error.message} (${gains})`)
  }
} catch (error) {
  console.log(`@cotangent/native: not built, ${error instanceof Error ? error.message.split('\n', 1)[0] : error} (${gains})`)
}
