import { useState } from 'preact/hooks'
import { shareableLink } from '../link.ts'

/** Copies an address that shows the same to others. */
export function LinkButton() {
  const [words, setWords] = useState('')
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(shareableLink())
      setWords('Copied')
    } catch {
      // Browsers let only pages of this machine, or of encrypted lines, write to the clipboard.
      setWords('Copy the address of this page')
    }
    setTimeout(() => setWords(''), 2500)
  }
  return (
    <button type="button" class="quiet link" title="Copy a link to what is shown: filters, groups, axes" onClick={() => void copy()}>
      <span role="status">{words || 'Copy link'}</span>
    </button>
  )
}
