import { environment } from '../environment.ts'

let wanted: boolean | undefined

/** See `setAutotune` of the package's entry. */
export function setAutotune(on: boolean): void {
  wanted = on
}

/** Whether engines choose by measuring now. */
export const autotune = (): boolean => (wanted ??= ['1', 'true'].includes(environment('COTANGENT_AUTOTUNE') ?? ''))
