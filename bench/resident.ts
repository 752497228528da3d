import { readFileSync, writeFileSync } from 'node:fs'

/** A line of Linux's /proc/self/status, in bytes. */
function status(name: 'VmHWM' | 'VmRSS'): number {
  const kib = readFileSync('/proc/self/status', 'utf8').match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'))
  return Number(kib![1]) * 1024
}

/** Forgets how much memory this process has had resident at most, and returns how much it has now. In bytes; Linux only. */
export function restartPeak(): number {
  if (process.platform !== 'linux') throw new Error('peak memory can be measured on Linux only')
  writeFileSync('/proc/self/clear_refs', '5')
  return status('VmRSS')
}

/** How much memory this process has had resident at most since `restartPeak`, in bytes. */
export const peakMemory = (): number => status('VmHWM')
