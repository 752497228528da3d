// Builds the board's page where the `cotangent` command finds it when it runs from its sources.
import { buildPage, builtPage } from './build-page.ts'

await buildPage(builtPage)
