// Runs when the package is installed. Builds the addon where that is possible; it never fails an install.
import { createRequire } from 'node:module'

const prebuilt = `@cotangent/native-${process.platform}-${process.arch}`
const gains = 'matrix products and convolutions run two to four times as fast with it; everything works without'

function hasPrebuilt() {
  try {
    return Boolean(createRequire(import.meta.url).resolve(`${prebuilt}/cotangent-native.node`))
  } catch {
    // The usual case: no such package for this platform.
    return false
  }
}

async function outcome() {
  if (hasPrebuilt()) return `uses ${prebuilt}`
  try {
    // Imported here, so that whatever is wrong with it ends in one line, too.
    const { build } = await import('./build.mjs')
    const { built } = build({ force: process.env.npm_command === 'rebuild' })
    return built ? 'built' : 'is up to date'
  } catch (error) {
    return `not built, ${String(error?.message ?? error).split('\n', 1)[0]} (${gains})`
  }
}

console.log(`@cotangent/native: ${await outcome()}`)
