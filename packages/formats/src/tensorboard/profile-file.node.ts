import { mkdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Profile } from 'cotangent'
import { encodeXSpace } from './profile-summary.ts'

/** Where TensorBoard's profile plugin looks: `plugins/profile/SESSION/HOST.xplane.pb`. */
export function saveProfile(folder: string, tag: string, profile: Profile): void {
  const host = hostname() || 'localhost'
  const session = join(folder, 'plugins', 'profile', fileName(tag))
  mkdirSync(session, { recursive: true })
  writeFileSync(join(session, `${host}.xplane.pb`), encodeXSpace(profile.slices, host, Date.now() - profile.ms))
}

/** A name without what file systems and browsers' addresses give a meaning to. */
export function fileName(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}._-]/gu, '_').replace(/^\.+$/, '_') || '_'
}
